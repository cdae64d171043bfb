/* Many processes one after the other: argv[1] of them. */
#include "t.h"

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 1000, bad = 0;
    char *page = malloc(8192);
    for (int i = 0; i < n; i++) {
        page[0] = (char)i;
        pid_t child = MUST(fork());
        if (child == 0) {
            page[4096] = 1;
            _exit(page[0] == (char)i ? i & 127 : 200);
        }
        int status;
        if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != (i & 127)) bad++;
    }
    printf("%d forks, %d bad\n", n, bad);
    return bad != 0;
}
