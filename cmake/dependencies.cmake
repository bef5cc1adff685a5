# What Weir is built from: packages of the distribution, none downloaded. `tools/setup` installs them.

find_package(Threads REQUIRED)
find_package(tl-expected REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)

# Targets of our own name, PkgConfig::weir_<module>: an installed package looks for them too, in
# projects that may have a PkgConfig::zstd already.
pkg_check_modules(weir_libzstd REQUIRED IMPORTED_TARGET libzstd)
set(WEIR_HAVE_LIBDEFLATE OFF)
if(WEIR_LIBDEFLATE)
  pkg_check_modules(weir_libdeflate IMPORTED_TARGET libdeflate)
  set(WEIR_HAVE_LIBDEFLATE ${weir_libdeflate_FOUND})
endif()

include(CheckIncludeFileCXX)
check_include_file_cxx(sys/sdt.h WEIR_HAVE_SDT)

if(WEIR_OFFHEAP STREQUAL mimalloc)
  find_package(mimalloc REQUIRED)
else()
  find_package(mimalloc QUIET)
endif()

# Demos, tools, tests and benchmarks only: those who need them call for them.
macro(weir_need_tool_packages)
  find_package(CLI11 REQUIRED)
  find_package(fmt REQUIRED)
  find_package(nlohmann_json REQUIRED)
endmacro()
