#include "t.h"

int main(int argc, char **argv) {
    printf("hello, %d words, last %s\n", argc - 1, argv[argc - 1]);
    fprintf(stderr, "this goes to stderr\n");
    return 42;
}
