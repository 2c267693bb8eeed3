# SPDX-License-Identifier: BSD-3-Clause
# vhostx_version_script(FILE LIST N): writes a linker's version script with those symbols of compat/rte_vhost/symbols.txt that
# DPDK's libraries of the number N have.
function(vhostx_version_script file list number)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list})
  file(STRINGS ${list} lines REGEX "^[a-z]")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^([a-z_0-9]+) +(stable|experimental|internal)( +([0-9]*)-([0-9]*))?$")
      message(FATAL_ERROR "${list}: '${line}' is not NAME NODE [FIRST-LAST]")
    endif()
    set(name ${CMAKE_MATCH_1})
    set(node ${CMAKE_MATCH_2})
    set(first ${CMAKE_MATCH_4})
    set(last ${CMAKE_MATCH_5})
    if((first AND number LESS first) OR (last AND number GREATER last))
      continue()
    endif()
    string(APPEND ${node} "    ${name};\n")
  endforeach()
  file(CONFIGURE OUTPUT ${file} CONTENT [[
DPDK_@number@ {
  global:
@stable@  local:
    *;
};
EXPERIMENTAL {
  global:
@experimental@};
INTERNAL {
  global:
@internal@};
]] @ONLY)
endfunction()
