/* Asks eight times for its parent. For strace, which answers in the kernel's place. */
#include <unistd.h>

int main(void)
{
    for (int count = 0; count < 8; count++)
        getppid();
    return 0;
}
