# SPDX-License-Identifier: BSD-3-Clause
# Before `cmake --install` copies its first file, cmake/check-built.cmake looks whether all that it is to copy was built. Included before
# anything else that installs: install rules run in their order.
install(CODE "set(vhostx_build [[${CMAKE_BINARY_DIR}]])\nset(vhostx_lists [[${PROJECT_BINARY_DIR}]])" ALL_COMPONENTS)
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/check-built.cmake ALL_COMPONENTS)

# vhostx_built_first(COMPONENT TARGET [FILE]): an installation of COMPONENT copies FILE, which TARGET makes (the target's own file).
function(vhostx_built_first component target)
  set(file $<TARGET_FILE:${target}>)
  if(ARGC GREATER 2)
    set(file ${ARGV2})
  endif()
  set_property(GLOBAL APPEND PROPERTY VHOSTX_BUILT_FIRST "${component}|${target}|${file}")
endfunction()

# Once all have been named.
function(vhostx_write_built_first)
  get_property(entries GLOBAL PROPERTY VHOSTX_BUILT_FIRST)
  list(JOIN entries "\n" lines)
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/built-first-$<CONFIG>.txt CONTENT "${lines}\n")
endfunction()
cmake_language(DEFER CALL vhostx_write_built_first)

# Where an installed program finds the libraries, from its own folder: a prefix that the loader does not know, or one that is moved, needs
# nothing set. Not in Debian's packages (tools/make-packages sets CMAKE_SKIP_INSTALL_RPATH).
file(RELATIVE_PATH vhostx_to_libraries ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set(VHOSTX_PROGRAM_RPATH "$ORIGIN/${vhostx_to_libraries}")
