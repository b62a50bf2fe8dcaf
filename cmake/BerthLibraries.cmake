# The libraries that Berth stands on. `./dev` installs them from Debian's packages and builds libfuse where the system's is old.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(SQLite3 REQUIRED)
if(BERTH_TESTS)
  find_package(GTest REQUIRED)
endif()

# cpp-httplib only with its own flags: without them its header and its library disagree and the program crashes.
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(CAP REQUIRED IMPORTED_TARGET libcap)

# libfuse 3.17 has kernel passthrough; with an older one the share works, by splice.
pkg_check_modules(FUSE3 REQUIRED IMPORTED_TARGET fuse3>=3.14)
# With our patch (cmake/libfuse-one-pipe-key.patch) there can be more than 1,020 sessions.
set(BERTH_FUSE_ONE_PIPE_KEY "")
if(EXISTS ${FUSE3_LIBDIR}/pkgconfig/fuse3.pc)  # asked for by name, pkg-config would look elsewhere when CMake runs itself again
  file(STRINGS ${FUSE3_LIBDIR}/pkgconfig/fuse3.pc BERTH_FUSE_ONE_PIPE_KEY REGEX "^berth_one_pipe_key=1")
endif()
pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing)
message(STATUS "libfuse ${FUSE3_VERSION}")
