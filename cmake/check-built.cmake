# SPDX-License-Identifier: BSD-3-Clause
# Part of `cmake --install`, before its first file: ends it where something that it is to copy was not built. ${vhostx_build} is the
# build folder; built-first-CONFIG.txt in ${vhostx_lists} has a line COMPONENT|TARGET|FILE for each.
cmake_policy(VERSION 3.25)
set(vhostx_list "${vhostx_lists}/built-first-${CMAKE_INSTALL_CONFIG_NAME}.txt")
set(vhostx_targets)
set(vhostx_files "")
if(EXISTS "${vhostx_list}")
  file(STRINGS "${vhostx_list}" vhostx_lines)
  foreach(vhostx_line IN LISTS vhostx_lines)
    if(NOT vhostx_line MATCHES "^([^|]+)\\|([^|]+)\\|(.+)$")
      continue()
    endif()
    if(CMAKE_INSTALL_COMPONENT AND NOT CMAKE_INSTALL_COMPONENT STREQUAL CMAKE_MATCH_1)
      continue()
    endif()
    if(NOT EXISTS "${CMAKE_MATCH_3}" AND NOT CMAKE_MATCH_2 IN_LIST vhostx_targets)
      list(APPEND vhostx_targets ${CMAKE_MATCH_2})
      string(APPEND vhostx_files "    ${CMAKE_MATCH_3}\n")
    endif()
  endforeach()
endif()
if(vhostx_targets)
  list(JOIN vhostx_targets " " vhostx_targets)
  message(FATAL_ERROR "vhostx: nothing was installed, because these files are not built:\n${vhostx_files}"
                      "  Build them, and install again:\n"
                      "    cmake --build ${vhostx_build} --target ${vhostx_targets}\n")
endif()
