# cmake -DPROGRAM=anabranch-bench -DWORK_DIR=... -P smoke.cmake
# Runs the suite at a tiny size: it ends well, its JSON has every field of every system, and all values are right.
cmake_minimum_required(VERSION 3.24)

set(file "${WORK_DIR}/smoke.json")
file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
execute_process(COMMAND "${PROGRAM}" --smoke --json "${file}" --results "${WORK_DIR}/results"
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "anabranch-bench --smoke ended with ${status}:\n${output}")
endif()

set(reconnect_fields system version engine n commits_per_s commit_cpu_s reconnect_wall_s reconnect_cpu_s
    bytes_edge_to_cloud bytes_cloud_to_edge round_trips nothing_new_bytes nothing_new_cpu_s hundred_more_bytes
    hundred_more_cpu_s start_rss_mib alone_rss_mib peak_rss_mib open_s disk_bytes values_ok)
set(floor_fields system version engine n commits_per_s commit_cpu_s peak_rss_mib)

file(READ "${file}" all)
string(JSON count LENGTH "${all}")
set(seen)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
    string(JSON row GET "${all}" ${i})
    string(JSON part GET "${row}" part)
    set(fields)
    if(part STREQUAL "retail-reconnect")
        string(JSON system GET "${row}" system)
        string(JSON engine GET "${row}" engine)
        list(APPEND seen "${system}/${engine}")
        set(fields ${floor_fields})
        if(system MATCHES "^anabranch(-unfolded)?$")
            set(fields ${reconnect_fields})
        endif()
    else()
        list(APPEND seen "${part}")
        if(part STREQUAL "micro")
            set(fields system engine name size cpu_ns wall_ns)
        elseif(part STREQUAL "convergence")
            set(fields system engine replicas topology seconds rtt_ms mbit_per_s folded missed converge_ms bytes values_ok)
        elseif(part STREQUAL "disk")
            set(fields system version engine n keys sync_every peak_bytes peak_write_ahead_bytes peak_tables_bytes closed_bytes
                end_bytes end_rows end_marks end_log_records fresh_bytes end_of_fresh bound_bytes values_ok)
        elseif(part STREQUAL "opening")
            set(fields system engine rows after commits open_s open_cpu_s peak_rss_mib values_ok)
        elseif(part STREQUAL "requests")
            set(fields system version engine n mirrored commits_per_s commit_cpu_s reconnect_wall_s reconnect_cpu_s bytes_edge_to_cloud
                bytes_cloud_to_edge round_trips identity_bytes values_ok)
        elseif(part STREQUAL "absence")
            set(fields system version engine rows changed removed where bytes_of_rows bytes_to_edge bytes_to_cloud round_trips cloud_cpu_s edge_cpu_s
                wall_s peak_rss_mib values_ok)
        elseif(part STREQUAL "bootstrap")
            set(fields system version engine rows bytes_of_rows bytes_received bootstrap_wall_s bootstrap_cpu_s copy_wall_s copy_cpu_s
                of_copy_speed peak_rss_mib values_ok)
        elseif(part STREQUAL "pending-reads")
            set(fields system engine pending read_plain_ns read_pending_ns)
        elseif(part MATCHES "^paper(-pace)?$")
            set(fields system engine requests_per_s latency_max_ms cut_missed cut_recovery_s cut_recovery_ms_per_missed
                reboot_missed reboot_recovery_s reboot_recovery_ms_per_missed values_ok)
        elseif(part STREQUAL "paper-large")
            set(fields system engine bytes alone_per_s replicated_per_s change_percent)
        elseif(part STREQUAL "propagation")
            set(fields system engine samples propagation_p50_ms propagation_p99_ms)
        endif()
    endif()
    foreach(field IN LISTS fields)
        string(JSON type ERROR_VARIABLE missing TYPE "${row}" ${field})
        if(missing)
            message(FATAL_ERROR "no ${field} in ${row}")
        endif()
    endforeach()
    string(JSON right ERROR_VARIABLE none GET "${row}" values_ok)
    if(NOT none AND NOT right)
        message(FATAL_ERROR "wrong values: ${row}")
    endif()
endforeach()

foreach(expected anabranch/memory anabranch-unfolded/memory anabranch/rocksdb anabranch-unfolded/rocksdb
        rocksdb-put/rocksdb rocksdb-get-put/rocksdb rocksdb-batch-100/rocksdb rocksdb-fsync-1/rocksdb
        rocksdb-fsync-16/rocksdb anabranch-fsync-1/rocksdb anabranch-fsync-16/rocksdb
        convergence convergence-real propagation disk opening requests pending-reads absence bootstrap paper paper-pace paper-large micro)
    if(NOT expected IN_LIST seen)
        message(FATAL_ERROR "nothing of ${expected} in ${seen}")
    endif()
endforeach()

# Wrong arguments: a message, and exit code 2.
foreach(wrong "--only;nothing" "--n;0" "--n;many" "--what" "--json;/nowhere/at/all.json")
    execute_process(COMMAND "${PROGRAM}" --smoke ${wrong} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT status EQUAL 2 OR output STREQUAL "")
        message(FATAL_ERROR "${wrong}: exit code ${status}, and: ${output}")
    endif()
endforeach()
