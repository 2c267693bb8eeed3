# SPDX-License-Identifier: BSD-3-Clause
# Manual pages, compressed where gzip is there.
find_program(VHOSTX_HELP2MAN help2man)
find_program(VHOSTX_GZIP gzip)

# vhostx_install_page(NAME PAGE): target NAME-manual, which has PAGE ready to be installed as NAME.1.
function(vhostx_install_page name page)
  set(installed ${page})
  if(VHOSTX_GZIP)
    set(installed ${CMAKE_CURRENT_BINARY_DIR}/man/${name}.1.gz)
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/man)
    # -n: neither name nor time, so that equal pages are equal files.
    add_custom_command(OUTPUT ${installed} DEPENDS ${page} COMMAND ${VHOSTX_GZIP} -9nc ${page} > ${installed} VERBATIM)
  endif()
  add_custom_target(${name}-manual ALL DEPENDS ${installed})
  install(FILES ${installed} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
  vhostx_built_first(tools ${name}-manual ${installed})
endfunction()

# vhostx_manual_page(NAME FOLDER): the page of a program without subcommands of its own page, from its --help (package help2man), and what
# that does not say from FOLDER/share/NAME.h2m.
function(vhostx_manual_page name folder)
  if(NOT VHOSTX_HELP2MAN OR CMAKE_CROSSCOMPILING) # it runs the program
    return()
  endif()
  set(page ${CMAKE_CURRENT_BINARY_DIR}/${name}.1)
  set(more ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/share/${name}.h2m)
  add_custom_command(
    OUTPUT ${page} DEPENDS ${name} ${more}
    COMMAND ${VHOSTX_HELP2MAN} --no-info --section 1 --version-string ${PROJECT_VERSION} --source vhostx --include ${more}
            --output ${page} $<TARGET_FILE:${name}>)
  vhostx_install_page(${name} ${page})
endfunction()
