/* prctl, arch_prctl and personality with every operation that changes nothing outside. */
#include "calls.h"
#include <asm/prctl.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

int main(void) {
    static char name[16];
    int value = 0;
    unsigned long address = 0;
    sys(prctl, PR_SET_NAME, "a name longer than sixteen");
    sys(prctl, PR_GET_NAME, name);
    sys(prctl, PR_GET_NAME, NULL);
    sys(prctl, PR_SET_NAME, BAD);
    sys(prctl, PR_SET_NAME, "\001odd\n");
    sys(prctl, PR_SET_PDEATHSIG, SIGTERM);
    sys(prctl, PR_GET_PDEATHSIG, &value);
    sys(prctl, PR_SET_PDEATHSIG, 0);
    sys(prctl, PR_SET_PDEATHSIG, 99);
    sys(prctl, PR_GET_DUMPABLE);
    sys(prctl, PR_SET_DUMPABLE, 0);
    sys(prctl, PR_GET_DUMPABLE);
    sys(prctl, PR_SET_DUMPABLE, 1);
    sys(prctl, PR_SET_DUMPABLE, 2);
    sys(prctl, PR_GET_KEEPCAPS);
    sys(prctl, PR_SET_KEEPCAPS, 1);
    sys(prctl, PR_SET_KEEPCAPS, 2);
    sys(prctl, PR_GET_TIMING);
    sys(prctl, PR_SET_TIMING, 0);
    sys(prctl, PR_SET_TIMING, 1);
    sys(prctl, PR_GET_TSC, &value);
    sys(prctl, PR_SET_TSC, 1);
    sys(prctl, PR_SET_TSC, 9);
    sys(prctl, PR_GET_SECUREBITS);
    sys(prctl, PR_SET_SECUREBITS, 0x10000);
    sys(prctl, PR_CAPBSET_READ, 0);
    sys(prctl, PR_CAPBSET_READ, 21);
    sys(prctl, PR_CAPBSET_READ, 99);
    sys(prctl, PR_CAPBSET_DROP, 99);
    sys(prctl, PR_GET_TIMERSLACK);
    sys(prctl, PR_SET_TIMERSLACK, 100000);
    sys(prctl, PR_GET_TIMERSLACK);
    sys(prctl, PR_SET_TIMERSLACK, 0);
    sys(prctl, PR_GET_CHILD_SUBREAPER, &value);
    sys(prctl, PR_SET_CHILD_SUBREAPER, 1);
    sys(prctl, PR_GET_CHILD_SUBREAPER, &value);
    sys(prctl, PR_SET_CHILD_SUBREAPER, 0);
    sys(prctl, PR_GET_NO_NEW_PRIVS);
    sys(prctl, PR_SET_NO_NEW_PRIVS, 0);
    sys(prctl, PR_SET_NO_NEW_PRIVS, 1);
    sys(prctl, PR_SET_NO_NEW_PRIVS, 1, 1);
    sys(prctl, PR_GET_NO_NEW_PRIVS);
    sys(prctl, PR_GET_TID_ADDRESS, &address);
    sys(prctl, PR_GET_THP_DISABLE);
    sys(prctl, PR_SET_THP_DISABLE, 1);
    sys(prctl, PR_GET_THP_DISABLE);
    sys(prctl, PR_SET_THP_DISABLE, 0);
    sys(prctl, PR_MCE_KILL_GET);
    sys(prctl, PR_MCE_KILL, 1, 2);
    sys(prctl, PR_MCE_KILL, 0);
    sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 3);
    sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
    sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 99);
    sys(prctl, PR_CAP_AMBIENT, 9, 0);
    sys(prctl, PR_GET_UNALIGN, &value);
    sys(prctl, PR_SET_UNALIGN, 1);
    sys(prctl, PR_GET_FPEMU, &value);
    sys(prctl, PR_GET_FPEXC, &value);
    sys(prctl, PR_GET_ENDIAN, &value);
    sys(prctl, PR_SET_PTRACER, 0);
    sys(prctl, 12345, 1, 2, 3, 4);
    sys(prctl, -1, -1, -1, -1, -1);
    sys(arch_prctl, ARCH_GET_FS, NULL);
    sys(arch_prctl, ARCH_GET_FS, &address);
    sys(arch_prctl, ARCH_GET_GS, &address);
    sys(arch_prctl, ARCH_SET_GS, 0x1234);
    sys(arch_prctl, ARCH_GET_GS, &address);
    sys(arch_prctl, ARCH_SET_GS, 0);
    sys(arch_prctl, ARCH_SET_GS, HIGH);
    sys(arch_prctl, ARCH_GET_CPUID);
    sys(arch_prctl, 0x9999, 1);
    sys(personality, 0xffffffff);
    sys(personality, 0x0040000);
    sys(personality, 0);
    sys(personality, 0x0040000 | 0x8000000 | 6);
    sys(personality, 0);
    return 0;
}
