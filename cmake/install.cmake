# `cmake --install`: headers, libraries, find_package(weir) and pkg-config. The program is
# installed where it is built, in tools/weir.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weir)

install(DIRECTORY include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS weir EXPORT weir-targets)
if(TARGET weir_mimalloc)
  # A set of its own: only who asks for the component has to have mimalloc.
  install(TARGETS weir_mimalloc EXPORT weir-mimalloc-targets)
  install(EXPORT weir-mimalloc-targets NAMESPACE weir:: DESTINATION ${package_dir})
endif()
install(EXPORT weir-targets NAMESPACE weir:: DESTINATION ${package_dir})

# A static libweir leaves its own needs to whoever links it; a shared one brings them. In weir.pc they
# are not private: where there is no other library, `pkg-config --libs` without --static must do.
if(BUILD_SHARED_LIBS)
  set(WEIR_CODEC_MODULES "")
  set(weir_pc_requires "")
  set(weir_pc_static "")
else()
  set(WEIR_CODEC_MODULES libzstd)
  if(WEIR_HAVE_LIBDEFLATE)
    list(APPEND WEIR_CODEC_MODULES libdeflate)
  endif()
  string(JOIN " " weir_pc_requires "\nRequires: zlib" ${WEIR_CODEC_MODULES})
  set(weir_pc_static " -lstdc++ -pthread")
endif()

configure_package_config_file(cmake/weir-config.cmake.in
  ${PROJECT_BINARY_DIR}/weir-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weir-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weir-config.cmake
              ${PROJECT_BINARY_DIR}/weir-config-version.cmake DESTINATION ${package_dir})

file(RELATIVE_PATH WEIR_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/weir.pc.in ${PROJECT_BINARY_DIR}/weir.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/weir.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
