// Outliving threads: those that a killed process may have to leave behind in the kernel.
//
// A thread that waits in the kernel for an answer which only the process's successor can give (it drops a name from a FUSE
// mount's cache, and the directory is locked by a request in flight) can't be killed, and keeps its process from ending. It
// has nothing left to do but to leave, so the successor need not wait for it.
#pragma once

#include <sys/types.h>

namespace berth {

// The calling thread is one of them: it does nothing else that its successor could do twice.
void may_outlive_its_process();

// A crash of this process leaves no core: the kernel would wait for all threads before it dumps one, for these too, and the
// process would not die. (PR_SET_DUMPABLE; who looks into /proc/<its id>/fd then needs CAP_SYS_PTRACE, as root has it.)
void leave_no_core();

// Whether the process is dead but for such threads. False while its first thread runs, and for what is not there.
bool only_outliving_threads_left(pid_t process);

// A thread of the process that is neither its first nor one of them, the oldest; 0 where it has none.
pid_t mortal_thread(pid_t process);

}  // namespace berth
