# Debian packages (CPack), one for each component that is installed. tools/make-packages builds them: the folders of a package
# are those of a build for /usr.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vhostx)
set(CPACK_PACKAGE_VENDOR vhostx)
set(CPACK_PACKAGE_CONTACT "vhostx developers <vhostx@localhost>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON) # the prefix is /usr while files are installed too: the unit has it
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR} ${PROJECT_BINARY_DIR}/telemetry)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# vhostx_package(COMPONENT NAME SECTION DEPENDS DESCRIPTION): what the component's .deb says of itself, and its copyright.
function(vhostx_package component name section depends description)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${depends}" PARENT_SCOPE)
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${description}" PARENT_SCOPE)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${name} RENAME copyright
          COMPONENT ${component})
endfunction()

# The rings of a mempool are a driver that EAL loads when it starts: no program is linked with it, so that nothing but this names it.
set(mempool_driver librte-mempool-ring${VHOSTX_DPDK_ABI})

vhostx_package(runtime libvhostx${VHOSTX_SOVERSION} libs "${mempool_driver}"
  "vhost-user-net back-end for DPDK applications
 Shared library: virtual machines exchange packets with a DPDK application
 through shared memory.")
vhostx_package(dev libvhostx-dev libdevel "libvhostx${VHOSTX_SOVERSION} (= ${PROJECT_VERSION}), libdpdk-dev"
  "vhost-user-net back-end for DPDK applications, for building
 Headers for C++ and C, CMake package, pkg-config file.")
vhostx_package(tools vhostx-tools net "libvhostx${VHOSTX_SOVERSION} (= ${PROJECT_VERSION}), ${mempool_driver}"
  "switch, load generator and inspection of vhost-user sockets
 vhostx-switch connects virtual machines, vhostx-bench loads a back-end and
 checks each packet, vhostx-probe shows what is said on a socket.")
set(components runtime dev tools)
if(TARGET vhostx-rte-vhost)
  vhostx_package(compat vhostx-rte-vhost-compat libs ""
    "DPDK's vhost library, on vhostx
 A librte_vhost.so.${VHOSTX_DPDK_ABI} for programs that were built for DPDK ${VHOSTX_DPDK_RELEASE}, in a folder
 of its own: it is used only where LD_LIBRARY_PATH names that.")
  list(APPEND components compat)
endif()
set(CPACK_COMPONENTS_ALL ${components})

# What packages that link the libraries depend on. CPack would write it for each package with a library in it, and the one of compat,
# which stands in another's place, must not say that it is that.
set(shlibs ${PROJECT_BINARY_DIR}/packaging/shlibs)
file(CONFIGURE OUTPUT ${shlibs} CONTENT [[
libvhostx @VHOSTX_SOVERSION@ libvhostx@VHOSTX_SOVERSION@ (>= @PROJECT_VERSION@)
libvhostx_telemetry @VHOSTX_SOVERSION@ libvhostx@VHOSTX_SOVERSION@ (>= @PROJECT_VERSION@)
]] @ONLY)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${shlibs})
set(scripts postinst prerm postrm) # of the unit vhostx-switch.service
list(TRANSFORM scripts PREPEND ${PROJECT_SOURCE_DIR}/tools/switch/share/debian/)
set(CPACK_DEBIAN_TOOLS_PACKAGE_CONTROL_EXTRA ${scripts})
include(CPack)
