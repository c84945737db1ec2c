# Questions asked of the table in layers.cmake. Usable in a project and in a script (cmake -P).

# Folder of a layer, relative to src.
function(layer_folder layer out)
    if(DEFINED layer_folder_${layer})
        set(${out} "${layer_folder_${layer}}" PARENT_SCOPE)
    else()
        set(${out} "${layer}" PARENT_SCOPE)
    endif()
endfunction()

# The layer and all layers below it.
function(layer_closure layer out)
    set(reached)
    set(pending ${layer})
    while(pending)
        list(POP_FRONT pending next)
        if(NOT next IN_LIST reached)
            list(APPEND reached ${next})
            list(APPEND pending ${layer_depends_${next}})
        endif()
    endwhile()
    set(${out} ${reached} PARENT_SCOPE)
endfunction()

# The layer whose folder holds a path relative to src; empty when there is none. The longest folder wins, so
# that storage/rocksdb/engine.cpp belongs to storage_rocksdb and not to storage.
function(layer_of_path path out)
    set(found "")
    set(found_length 0)
    foreach(layer IN LISTS layers)
        layer_folder(${layer} folder)
        string(LENGTH "${folder}/" length)
        string(FIND "${path}" "${folder}/" position)
        if(position EQUAL 0 AND length GREATER found_length)
            set(found ${layer})
            set(found_length ${length})
        endif()
    endforeach()
    set(${out} "${found}" PARENT_SCOPE)
endfunction()

# Stops with an error when an arrow of the table does not point downwards.
function(check_layer_graph)
    set(below)
    foreach(layer IN LISTS layers)
        foreach(dependency IN LISTS layer_depends_${layer})
            if(NOT dependency IN_LIST below)
                message(FATAL_ERROR "layers.cmake: ${layer} -> ${dependency} does not point downwards")
            endif()
        endforeach()
        list(APPEND below ${layer})
    endforeach()
endfunction()
