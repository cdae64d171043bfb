/* Strings with every byte, and at every length. */
#include "calls.h"

int main(void) {
    static char all[256], digits[600];
    sys(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < 256; i++) all[i] = i;
    for (int i = 0; i < 256; i += 8) sys(write, 3, all + i, 8);
    for (int i = 0; i < 32; i++) {
        char two[2] = {i, '0' + i % 10};
        sys(write, 3, two, 2);
    }
    sys(write, 3, "\0007\00189\0118\1770\3777\n8", 13);
    sys(write, 3, "tab\there \"quoted\" back\\slash", 27);
    sys(write, 3, "\r\n\v\f\a\b\033[0m", 10);
    sys(write, 3, "trailing\0", 9);
    sys(write, 3, "\0\0\0\0", 4);
    sys(write, 3, "\303\244\342\202\254", 5);
    for (int i = 0; i < 600; i++) digits[i] = '0' + i % 10;
    for (int i = 30; i < 35; i++) sys(write, 3, digits, i);
    for (int i = 9; i < 13; i++) sys(write, 3, digits, i);
    sys(write, 3, digits, 600);
    sys(openat, AT_FDCWD, digits + 570, O_RDONLY);
    digits[200] = 0;
    sys(openat, AT_FDCWD, digits, O_RDONLY);
    digits[33] = 0;
    sys(openat, AT_FDCWD, digits, O_RDONLY);
    digits[32] = 0;
    sys(openat, AT_FDCWD, digits, O_RDONLY);
    sys(openat, AT_FDCWD, "\001\002\n\377", O_RDONLY);
    sys(openat, AT_FDCWD, "", O_RDONLY);
    sys(symlink, "with\nnewline \"and\" quotes", "l\tink");
    char buffer[64];
    sys(readlink, "l\tink", buffer, 64);
    char *words[] = {"plain", "\0017", digits, "a \"b\" \\", NULL};
    sys(execve, "nothere", words, words);
    sys(lseek, 3, 0, SEEK_SET);
    for (int i = 0; i < 4; i++) sys(read, 3, digits, 60);
    return 0;
}
