/* What a program finds on its stack: arguments, environment, auxiliary vector. */
#include "t.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;

int main(int argc, char **argv) {
    printf("argc %d\n", argc);
    for (int i = 0; i < argc; i++) printf("argv[%d] = %s\n", i, i ? argv[i] : "(name)");
    YES(argv[argc] == NULL);
    int variables = 0;
    for (char **e = environ; *e; e++) {
        variables++;
        if (strncmp(*e, "T_", 2) == 0) printf("env %s\n", *e);
    }
    printf("variables %d\n", variables);

    char **end = environ;
    while (*end) end++;
    ElfW(auxv_t) *entry = (ElfW(auxv_t) *)(end + 1);
    int seen_null = 0, last = 0;
    for (int i = 0; i < 64; i++) {
        last = i;
        if (entry[i].a_type == AT_NULL) { seen_null = 1; break; }
    }
    YES(seen_null);
    YES(last >= 15);
    YES(((uintptr_t)argv - 8) % 16 == 0);

    static const int wanted[] = {AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_FLAGS, AT_ENTRY, AT_UID, AT_EUID,
                                 AT_GID, AT_EGID, AT_SECURE, AT_RANDOM, AT_HWCAP, AT_CLKTCK, AT_PLATFORM, AT_EXECFN};
    for (unsigned w = 0; w < sizeof wanted / sizeof *wanted; w++) {
        int found = 0;
        for (int i = 0; i < last; i++) found += entry[i].a_type == (unsigned long)wanted[w];
        printf("auxv type %d: %d\n", wanted[w], found);
    }
    printf("page size %lu, phent %lu, clock ticks %lu, flags %lu, secure %lu\n", getauxval(AT_PAGESZ), getauxval(AT_PHENT),
           getauxval(AT_CLKTCK), getauxval(AT_FLAGS), getauxval(AT_SECURE));
    printf("platform %s\n", (char *)getauxval(AT_PLATFORM));
    YES(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
    YES(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
    YES(strcmp((char *)getauxval(AT_EXECFN), argv[0]) == 0);
    const unsigned char *random = (unsigned char *)getauxval(AT_RANDOM);
    int sum = 0;
    for (int i = 0; i < 16; i++) sum += random[i];
    YES(sum > 0);
    const ElfW(Phdr) *header = (ElfW(Phdr) *)getauxval(AT_PHDR);
    int loads = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) loads += header[i].p_type == PT_LOAD;
    printf("loadable segments %d\n", loads);
    uintptr_t here = (uintptr_t)&main, start = getauxval(AT_ENTRY);
    YES((here > start ? here - start : start - here) < 0x1000000);
    return 0;
}
