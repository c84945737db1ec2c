include(layers)
include(layer_graph)
check_layer_graph()

# Adds the layer in the current folder as target anabranch_<NAME>, alias anabranch::<NAME>.
#
#   anabranch_layer(NAME <layer>
#       [PUBLIC_HEADERS <file of include/anabranch>...]
#       [PUBLIC_LIBRARIES <target>...]     seen in headers of the layer
#       [PRIVATE_LIBRARIES <target>...])   used in its sources only
#
# Sources are the folder's *.cpp; without any, the layer is header-only. The layers it depends on come from
# layers.cmake. A public header belongs to exactly one layer.
function(anabranch_layer)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "PUBLIC_HEADERS;PUBLIC_LIBRARIES;PRIVATE_LIBRARIES")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "anabranch_layer: unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT arg_NAME IN_LIST layers)
        message(FATAL_ERROR "anabranch_layer: '${arg_NAME}' is not in cmake/layers.cmake")
    endif()
    set(target anabranch_${arg_NAME})

    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
    if(sources)
        add_library(${target} STATIC ${sources})
        target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
        anabranch_compile_options(${target})
        set(public PUBLIC)
        set(private PRIVATE)
    else()
        add_library(${target} INTERFACE)
        set(public INTERFACE)
        set(private INTERFACE)
    endif()
    add_library(anabranch::${arg_NAME} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${arg_NAME})
    target_compile_features(${target} ${public} cxx_std_20)

    foreach(dependency IN LISTS layer_depends_${arg_NAME})
        target_link_libraries(${target} ${public} anabranch_${dependency})
    endforeach()
    target_link_libraries(${target} ${public} ${arg_PUBLIC_LIBRARIES} ${private} ${arg_PRIVATE_LIBRARIES})

    foreach(header IN LISTS arg_PUBLIC_HEADERS)
        claim_public_header(${arg_NAME} ${header})
    endforeach()
    list(TRANSFORM arg_PUBLIC_HEADERS PREPEND "${PROJECT_SOURCE_DIR}/include/anabranch/")
    target_sources(${target} ${public}
        FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${arg_PUBLIC_HEADERS})
    set_property(GLOBAL APPEND PROPERTY anabranch_added_layers ${arg_NAME})
endfunction()

function(claim_public_header layer header)
    if(NOT EXISTS "${PROJECT_SOURCE_DIR}/include/anabranch/${header}")
        message(FATAL_ERROR "Public header include/anabranch/${header} does not exist, but layer '${layer}' lists "
            "it in PUBLIC_HEADERS (${CMAKE_CURRENT_SOURCE_DIR}/CMakeLists.txt).")
    endif()
    get_property(owner GLOBAL PROPERTY anabranch_header_owner_${header})
    if(owner)
        message(FATAL_ERROR "Public header include/anabranch/${header} is listed in PUBLIC_HEADERS by two layers: "
            "'${owner}' and '${layer}'. It must belong to one.")
    endif()
    set_property(GLOBAL PROPERTY anabranch_header_owner_${header} ${layer})
endfunction()

# To be called after all layers: every layer of the table is a target, and every header in include/anabranch has
# its layer. Writes who owns which header to `file`, for the include test.
function(anabranch_check_layers file)
    get_property(added GLOBAL PROPERTY anabranch_added_layers)
    foreach(layer IN LISTS layers)
        if(NOT layer IN_LIST added)
            message(FATAL_ERROR "Layer '${layer}' of cmake/layers.cmake has no anabranch_layer() call.")
        endif()
    endforeach()

    file(GLOB headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include/anabranch"
        "${PROJECT_SOURCE_DIR}/include/anabranch/*")
    set(owners "# Written at configure time: the layer that owns each public header.\n")
    foreach(header IN LISTS headers)
        get_property(owner GLOBAL PROPERTY anabranch_header_owner_${header})
        if(NOT owner)
            message(FATAL_ERROR "Public header include/anabranch/${header} belongs to no layer. Add it to "
                "PUBLIC_HEADERS in the src/<layer>/CMakeLists.txt of the layer that implements it.")
        endif()
        string(APPEND owners "set(header_owner_${header} ${owner})\n")
    endforeach()
    file(WRITE "${file}" "${owners}")
endfunction()
