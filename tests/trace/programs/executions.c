/* Executing programs: this one again, with its name as the argument, and everything that cannot be executed. */
#include "calls.h"

static char *many[50], *none[] = {NULL};

int main(int argc, char **argv) {
    char *environment[] = {"A=1", "B=with space", NULL};
    if (argc != 1) sys(exit_group, argc);
    for (int i = 0; i < 40; i++) many[i] = "word";
    sys(execve, "nothere", argv, environment);
    sys(execve, "nothere", argv, NULL);
    sys(execve, "nothere", NULL, NULL);
    sys(execve, "nothere", none, none);
    sys(execve, "nothere", many, many);
    sys(execve, "nothere", BAD, BAD);
    sys(execve, NULL, argv, environment);
    sys(execve, BAD, argv, environment);
    sys(execve, "", argv, environment);
    char *odd[] = {"", "new\nline", "quote\"", "back\\slash", "\001\377", "a long argument that is longer than thirty-two bytes", NULL};
    sys(execve, "nothere", odd, odd);
    char *wrong[] = {"good", BAD, "never", NULL};
    sys(execve, "nothere", wrong, wrong);
    char **half = edge(16);
    half[0] = "first";
    half[1] = "second";
    sys(execve, "nothere", half, half);
    sys(execveat, AT_FDCWD, "nothere", argv, environment, 0);
    sys(execveat, -1, "nothere", argv, environment, AT_SYMLINK_NOFOLLOW);
    sys(execveat, -1, "", argv, environment, AT_EMPTY_PATH);
    sys(execveat, AT_FDCWD, "nothere", argv, environment, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | 1);
    sys(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0644);
    sys(execve, "f", argv, environment);
    sys(fchmod, 3, 0755);
    sys(close, 3);
    sys(execve, "f", argv, environment);
    sys(execve, ".", argv, environment);
    char *words[] = {"name", "two", "three", NULL};
    CHILD(sys(execve, argv[0], words, environment));
    CHILD(sys(openat, AT_FDCWD, argv[0], O_RDONLY | O_CLOEXEC); sys(execveat, 3, "", words, none, AT_EMPTY_PATH));
    CHILD(sys(execve, argv[0], many, NULL));
    return 0;
}
