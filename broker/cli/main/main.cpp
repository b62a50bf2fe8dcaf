#include "broker/cli/command_line.hpp"

int main(int argc, char** argv) { return berth::cli::run_command_line(argc, argv); }
