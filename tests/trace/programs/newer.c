/* Numbers that Linux has given since strace 6.1, and a few more. */
#include "calls.h"

int main(void) {
    for (int unused = 451; unused < 475; unused++) number(unused, -1, -2, -3, -4, -5, -6);
    return 0;
}
