# Target docs: the public headers and the pages in Markdown as HTML, in docs/html of the build folder. A member without words, or a
# link that leads nowhere, is an error.
find_program(VHOSTX_DOXYGEN doxygen)
set(VHOSTX_DOCS ${PROJECT_BINARY_DIR}/docs)
# In the order of the navigation: guides first.
set(pages)
foreach(glob IN ITEMS docs/README.md docs/*.md *.md */README.md */*/README.md)
  file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${glob})
  list(APPEND pages ${found})
endforeach()
list(REMOVE_DUPLICATES pages)
list(FILTER pages EXCLUDE REGEX "^${PROJECT_SOURCE_DIR}/build/")
list(JOIN pages " " VHOSTX_PAGES)
configure_file(${PROJECT_SOURCE_DIR}/cmake/Doxyfile.in ${PROJECT_BINARY_DIR}/Doxyfile @ONLY)
if(VHOSTX_DOXYGEN)
  add_custom_target(docs COMMAND ${VHOSTX_DOXYGEN} ${PROJECT_BINARY_DIR}/Doxyfile
                    COMMENT "The public interface and the guides, in ${VHOSTX_DOCS}/html")
endif()
