# libvhostx.so from the layers, and its installation: headers, CMake package, pkg-config file.
get_property(layers GLOBAL PROPERTY VHOSTX_LAYERS)
set(objects)
foreach(layer IN LISTS layers)
  list(APPEND objects $<TARGET_OBJECTS:${layer}>)
endforeach()

add_library(vhostx SHARED ${objects})
add_library(vhostx::vhostx ALIAS vhostx)
set_target_properties(vhostx PROPERTIES VERSION ${VHOSTX_SOVERSION}.${PROJECT_VERSION} SOVERSION ${VHOSTX_SOVERSION} LINKER_LANGUAGE CXX)
target_include_directories(vhostx INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(vhostx INTERFACE $<BUILD_INTERFACE:cxx_std_20>) # installed: vhostxConfig.cmake
target_link_libraries(vhostx PRIVATE $<BUILD_INTERFACE:vhostx_flags> $<BUILD_INTERFACE:vhostx_dpdk>
                      $<BUILD_INTERFACE:vhostx_numa_library> Threads::Threads)
# -Bsymbolic-functions: what the C interface calls of the C++ one it calls directly, without a look into a table.
target_link_options(vhostx PRIVATE -Wl,--as-needed -Wl,-Bsymbolic-functions
                    -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/vhostx.map)
set_target_properties(vhostx PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/vhostx.map)
if(NOT VHOSTX_SANITIZE) # clang keeps the sanitizers' run time in the executable
  target_link_options(vhostx PRIVATE -Wl,--no-undefined)
endif()

include(CMakePackageConfigHelpers)
install(TARGETS vhostx EXPORT vhostx LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        COMPONENT runtime NAMELINK_COMPONENT dev)
vhostx_built_first(runtime vhostx)
vhostx_built_first(dev vhostx $<TARGET_LINKER_FILE:vhostx>)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/vhostx DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/tools/examples DESTINATION ${CMAKE_INSTALL_DATADIR}/vhostx COMPONENT dev
        FILES_MATCHING PATTERN *.cpp PATTERN *.c PATTERN CMakeLists.txt)
install(EXPORT vhostx NAMESPACE vhostx:: FILE vhostxTargets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vhostx COMPONENT dev)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/vhostxConfig.cmake.in ${PROJECT_BINARY_DIR}/vhostxConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vhostx)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vhostxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
# From where the file lies, so that `cmake --install --prefix` elsewhere gives one that is right.
file(RELATIVE_PATH VHOSTX_PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/vhostx.pc.in ${PROJECT_BINARY_DIR}/vhostx.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vhostxConfig.cmake ${PROJECT_BINARY_DIR}/vhostxConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vhostx COMPONENT dev)
install(FILES ${PROJECT_BINARY_DIR}/vhostx.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
