# vhostx_layer(NAME sources... [LINK targets...]): one static library a layer, so that the table of layers in
# ARCHITECTURE.md is visible in the build and a layer's tests link that layer and what lies below it, nothing else.

add_library(vhostx_flags INTERFACE)
target_include_directories(vhostx_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_options(vhostx_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
                                              -Wno-missing-field-initializers)
if(VHOSTX_WERROR)
  target_compile_options(vhostx_flags INTERFACE -Werror)
endif()
if(CMAKE_UNITY_BUILD) # several files compiled as one: what one keeps to itself hides nothing from the next
  target_compile_options(vhostx_flags INTERFACE -Wno-shadow $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()
if(VHOSTX_CHECK_THREADS)
  target_compile_definitions(vhostx_flags INTERFACE VHOSTX_CHECK_THREADS)
endif()
if(VHOSTX_SANITIZE STREQUAL "address")
  set(flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    list(APPEND flags -fsanitize-ignorelist=${PROJECT_SOURCE_DIR}/cmake/ubsan-ignored.txt)
  endif()
elseif(VHOSTX_SANITIZE STREQUAL "thread")
  set(flags -fsanitize=thread)
elseif(VHOSTX_SANITIZE)
  message(FATAL_ERROR "VHOSTX_SANITIZE is '${VHOSTX_SANITIZE}': expected 'address', 'thread' or nothing")
endif()
target_compile_options(vhostx_flags INTERFACE ${flags})
target_link_options(vhostx_flags INTERFACE ${flags})
# With sanitizers, what fuzzers and the longest tests spend their time in. The rest compiles faster than it would then run.
add_library(vhostx_optimised INTERFACE)
if(VHOSTX_SANITIZE)
  target_compile_options(vhostx_optimised INTERFACE $<$<CONFIG:Debug>:-O1>)
endif()
# A fuzzer may rewrite guest memory behind each load of it (memory/load_hook.hpp).
if(VHOSTX_FUZZ)
  target_compile_definitions(vhostx_flags INTERFACE VHOSTX_GUEST_LOAD_HOOK)
endif()
# What the fuzzers look at: the layers and their own sources. Tests and tools compile faster without.
add_library(vhostx_coverage INTERFACE)
if(VHOSTX_FUZZ AND VHOSTX_SANITIZE) # else only what fuzzers are linked with has the symbols: tests/coverage
  target_compile_options(vhostx_coverage INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(vhostx_layer name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(vhostx_${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(vhostx_${name} PUBLIC vhostx_flags ${ARG_LINK} PRIVATE vhostx_coverage vhostx_optimised)
  # Where several files are compiled as one (CMAKE_UNITY_BUILD): most of the time goes into the headers that they share.
  set_target_properties(vhostx_${name} PROPERTIES UNITY_BUILD_BATCH_SIZE 16)
  set_property(GLOBAL APPEND PROPERTY VHOSTX_LAYERS vhostx_${name})
endfunction()
