# make install, and find_package(anabranch) for those who use it.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/anabranch")
set(targets anabranch)
foreach(layer IN LISTS layers)
    list(APPEND targets anabranch_${layer})
endforeach()

install(TARGETS ${targets} EXPORT anabranchTargets FILE_SET HEADERS)
install(EXPORT anabranchTargets NAMESPACE anabranch:: DESTINATION "${package_dir}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/anabranchConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/anabranchConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/anabranchConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/anabranchConfig.cmake"
    "${PROJECT_BINARY_DIR}/anabranchConfigVersion.cmake"
    DESTINATION "${package_dir}")
