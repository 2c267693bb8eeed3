# Target docs: the public headers as HTML, in docs/html of the build folder. A member without words is an error.
find_program(VHOSTX_DOXYGEN doxygen)
set(VHOSTX_DOCS ${PROJECT_BINARY_DIR}/docs)
configure_file(${PROJECT_SOURCE_DIR}/cmake/Doxyfile.in ${PROJECT_BINARY_DIR}/Doxyfile @ONLY)
if(VHOSTX_DOXYGEN)
  add_custom_target(docs COMMAND ${VHOSTX_DOXYGEN} ${PROJECT_BINARY_DIR}/Doxyfile
                    COMMENT "The public interface, in ${VHOSTX_DOCS}/html")
endif()
