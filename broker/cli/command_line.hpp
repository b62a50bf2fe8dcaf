// The command line `berth`: reads the arguments and calls the one function that each command is.
#pragma once

namespace berth::cli {

// Exit codes: 0 done, 1 failed (one line on standard error says why), 2 wrong arguments; `berth run` gives its program's.
int run_command_line(int argc, char** argv);

}  // namespace berth::cli
