# Debian packages (CPack), one for each component that is installed. tools/make-packages builds them: the folders of a package
# are those of a build for /usr.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vhostx)
set(CPACK_PACKAGE_VENDOR vhostx)
# Who makes the package, as Debian's own tools ask for it. Without an answer it is nobody's address.
if(DEFINED ENV{DEBEMAIL})
  set(maintainer_name "$ENV{DEBFULLNAME}")
  if(NOT maintainer_name)
    set(maintainer_name vhostx)
  endif()
  set(CPACK_PACKAGE_CONTACT "${maintainer_name} <$ENV{DEBEMAIL}>")
else()
  set(CPACK_PACKAGE_CONTACT "vhostx developers <vhostx@packages.invalid>")
endif()
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # else it is the synopsis of each package
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON) # the prefix is /usr while files are installed too: the unit has it
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(package_version ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR} ${PROJECT_BINARY_DIR}/telemetry
    ${PROJECT_BINARY_DIR}/systemd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# What a package has in share/doc beside its copyright: the project's changes, and those of the packages. Installed into packages only, not
# by `cmake --install`.
string(COMPARE EQUAL "${CMAKE_INSTALL_PREFIX}" /usr for_packages)
find_program(VHOSTX_GZIP gzip)
set(packaging ${PROJECT_BINARY_DIR}/packaging)
configure_file(${PROJECT_SOURCE_DIR}/CHANGELOG.md ${packaging}/changelog COPYONLY)
string(TIMESTAMP package_date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, where that is set
file(CONFIGURE OUTPUT ${packaging}/changelog.Debian CONTENT [[
vhostx (@package_version@) unstable; urgency=medium

  * Packages of vhostx @PROJECT_VERSION@, made by CPack.
    What changed in vhostx itself: changelog.gz

 -- @CPACK_PACKAGE_CONTACT@  @package_date@
]] @ONLY)
set(changelogs ${packaging}/changelog ${packaging}/changelog.Debian)
if(VHOSTX_GZIP)
  foreach(file IN LISTS changelogs)
    execute_process(COMMAND ${VHOSTX_GZIP} -9nc ${file} OUTPUT_FILE ${file}.gz COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
  list(TRANSFORM changelogs APPEND .gz)
endif()

# vhostx_package(COMPONENT NAME SECTION DEPENDS DESCRIPTION): what the component's .deb says of itself, its copyright and changelogs.
function(vhostx_package component name section depends description)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${depends}" PARENT_SCOPE)
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${description}" PARENT_SCOPE)
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${name} RENAME copyright
          COMPONENT ${component})
  if(for_packages)
    install(FILES ${changelogs} DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endfunction()

# The rings of a mempool are a driver that EAL loads when it starts: no program is linked with it, so that nothing but this names it.
set(mempool_driver librte-mempool-ring${VHOSTX_DPDK_ABI})

vhostx_package(runtime libvhostx${VHOSTX_SOVERSION} libs "${mempool_driver}"
  "vhost-user-net back-end for DPDK applications: library
Virtual machines connect to a Unix socket, and the lcores of a DPDK
application exchange packets with them through shared memory. This package
has the shared libraries, libvhostx and libvhostx_telemetry.")
set(dev_depends "libvhostx${VHOSTX_SOVERSION} (= ${package_version}), libdpdk-dev")
if(TARGET vhostx_systemd)
  string(APPEND dev_depends ", libvhostx-systemd${VHOSTX_SOVERSION} (= ${package_version})")
endif()
vhostx_package(dev libvhostx-dev libdevel "${dev_depends}"
  "vhost-user-net back-end for DPDK applications: development files
Headers for C++20 and C11, CMake package, pkg-config files, and examples in
/usr/share/vhostx/examples.")
vhostx_package(tools vhostx-tools net "libvhostx${VHOSTX_SOVERSION} (= ${package_version}), ${mempool_driver}"
  "switch, load generator and inspector for vhost-user sockets
vhostx-switch connects virtual machines, vhostx-bench loads a back-end and
checks each packet, vhostx-probe shows what is said on a socket and checks
back-ends against the specification. vhostx-keeper holds the descriptors of
ports while their processes change.")
set(components runtime dev tools)
if(TARGET vhostx_systemd)
  vhostx_package(systemd libvhostx-systemd${VHOSTX_SOVERSION} libs "libvhostx${VHOSTX_SOVERSION} (= ${package_version})"
    "vhost-user-net back-end for DPDK applications: systemd as keeper
Connections of virtual machines are kept in systemd's descriptor store
while the service that serves them is restarted. This package has the
shared library libvhostx_systemd, which vhostx-switch uses.")
  list(APPEND components systemd)
endif()
if(TARGET vhostx-rte-vhost)
  vhostx_package(compat vhostx-rte-vhost-compat libs ""
    "replacement for DPDK's vhost library, based on vhostx
A librte_vhost.so.${VHOSTX_DPDK_ABI} for programs that were built for DPDK ${VHOSTX_DPDK_RELEASE}, for example
Open vSwitch. It is in a folder of its own and used only where
LD_LIBRARY_PATH names that folder.")
  list(APPEND components compat)
endif()
set(CPACK_COMPONENTS_ALL ${components})

# What packages that link the libraries depend on. CPack would write it for each package with a library in it, and the one of compat,
# which stands in another's place, must not say that it is that.
set(shlibs ${packaging}/shlibs)
file(CONFIGURE OUTPUT ${shlibs} CONTENT [[
libvhostx @VHOSTX_SOVERSION@ libvhostx@VHOSTX_SOVERSION@ (>= @PROJECT_VERSION@)
libvhostx_telemetry @VHOSTX_SOVERSION@ libvhostx@VHOSTX_SOVERSION@ (>= @PROJECT_VERSION@)
]] @ONLY)
file(CONFIGURE OUTPUT ${packaging}/systemd/shlibs CONTENT [[
libvhostx_systemd @VHOSTX_SOVERSION@ libvhostx-systemd@VHOSTX_SOVERSION@ (>= @PROJECT_VERSION@)
]] @ONLY)
# ldconfig by dpkg's trigger. CPack calls it in maintainer scripts too, for any package with a library, and has no switch for that.
file(CONFIGURE OUTPUT ${packaging}/triggers CONTENT "activate-noawait ldconfig\n" @ONLY)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${shlibs} ${packaging}/triggers)
set(CPACK_DEBIAN_SYSTEMD_PACKAGE_CONTROL_EXTRA ${packaging}/systemd/shlibs ${packaging}/triggers)
function(vhostx_lintian_overrides component name)
  file(CONFIGURE OUTPUT ${packaging}/${component}/lintian-overrides CONTENT [[
# CPack writes these scripts for each package with a library. The trigger is there too.
@name@: maintscript-calls-ldconfig *
]] @ONLY)
  if(for_packages)
    install(FILES ${packaging}/${component}/lintian-overrides DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/lintian/overrides
            RENAME ${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endfunction()
vhostx_lintian_overrides(runtime libvhostx${VHOSTX_SOVERSION})
if(TARGET vhostx_systemd)
  vhostx_lintian_overrides(systemd libvhostx-systemd${VHOSTX_SOVERSION})
endif()
set(scripts postinst prerm postrm) # of the units vhostx-switch.service and vhostx-keeper.service
list(TRANSFORM scripts PREPEND ${PROJECT_SOURCE_DIR}/tools/switch/share/debian/)
set(CPACK_DEBIAN_TOOLS_PACKAGE_CONTROL_EXTRA ${scripts})
include(CPack)
