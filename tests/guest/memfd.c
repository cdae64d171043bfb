/* memfd_create: files in memory without a name, and the seals that protect them. */
#include "t.h"

#define SEALS(fd) syscall(SYS_fcntl, fd, 1034)
#define SEAL(fd, seals) syscall(SYS_fcntl, fd, 1033, seals)

enum { SEAL_SEAL = 1, SHRINK = 2, GROW = 4, WRITE = 8, FUTURE_WRITE = 16, EXEC = 32 };
enum { CLOEXEC = 1, ALLOW_SEALING = 2, HUGETLB = 4, NOEXEC_SEAL = 8, EXECUTABLE = 16 };

static int memfd(const char *name, unsigned flags) { return (int)syscall(SYS_memfd_create, name, flags); }

static char data[3 * 4096 + 1];

static void show_link(int fd) {
    char name[64], target[400];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    printf("%s\n", target);
}

static void creation(void) {
    char name[300];
    struct stat st;
    SHOW(memfd("x", 0x20));
    SHOW(memfd("x", NOEXEC_SEAL | EXECUTABLE));
    SHOW(memfd("x", 1u << 26));
    SHOW(memfd((char *)8, 0));
    SHOW(memfd((char *)8, 0x20));
    memset(name, 'n', sizeof name);
    name[250] = 0;
    SHOW(memfd(name, 0));
    name[249] = 0;
    int fd = MUST(memfd(name, 0));
    show_link(fd);
    close(fd);
    fd = MUST(memfd("", CLOEXEC));
    show_link(fd);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_GETFL) & ~0100000);
    SHOW(SEALS(fd));
    SHOW(SEAL(fd, WRITE));
    MUST(fstat(fd, &st));
    printf("mode %o, links %lu, size %ld, mine %d\n", st.st_mode, (unsigned long)st.st_nlink, (long)st.st_size,
           st.st_uid == geteuid() && st.st_gid == getegid());
    SHOW(write(fd, "hello", 5));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(read(fd, name, 10));
    char *map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    map[0] = 'J';
    SHOW(pread(fd, name, 5, 0));
    printf("%.5s\n", name);
    CHILD("shared", map[1] = 'E');
    printf("%.5s\n", map);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int again = MUST(open(name, O_RDONLY));
    SHOW(SEAL(again, WRITE));
    SHOW(ftruncate(again, 0));
    SHOW(link(name, "/tmp/memfd-link"));
    SHOW(linkat(AT_FDCWD, name, AT_FDCWD, "memfd-link", AT_SYMLINK_FOLLOW));
    close(again);
    close(fd);
    fd = MUST(memfd("exec", NOEXEC_SEAL));
    MUST(fstat(fd, &st));
    printf("mode %o, seals %ld\n", st.st_mode, SEALS(fd));
    SHOW(fchmod(fd, 0700));
    SHOW(fchmod(fd, 0600));
    close(fd);
    fd = MUST(open("/proc/self/exe", O_RDONLY));
    SHOW(SEAL(fd, WRITE));
    close(fd);
    int ends[2];
    MUST(pipe(ends));
    SHOW(SEALS(ends[0]));
    SHOW(SEAL(ends[0], 0));
    SHOW(SEAL(ends[1], 0));
    SHOW(SEAL(ends[1], 64));
}

static int sealed(int seals) {
    int fd = MUST(memfd("sealed", ALLOW_SEALING));
    MUST(write(fd, data, 4096 + 100));
    MUST(SEAL(fd, seals));
    printf("seals %ld\n", SEALS(fd));
    return fd;
}

static void try(int seals) {
    int fd = sealed(seals);
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    SHOW(pwrite(fd, data, 0, 0));
    SHOW(pwrite(fd, data, 10, 0));
    SHOW(pwrite(fd, data, 100, 4096));
    SHOW(pwrite(fd, data, 101, 4096));
    SHOW(pwrite(fd, data, 8192, 0));
    SHOW(pwrite(fd, data, 1, 8192));
    SHOW(ftruncate(fd, 8192 + 50));
    SHOW(ftruncate(fd, 8192 + 50));
    SHOW(ftruncate(fd, 8192));
    SHOW(fallocate(fd, 0, 0, 100));
    SHOW(fallocate(fd, 0, 8192, 4096));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 12288, 4096));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096));
    OK(close(open(name, O_RDWR)));
    OK(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    OK(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    void *map = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
    YES(map != MAP_FAILED);
    SHOW(mprotect(map, 4096, PROT_READ | PROT_WRITE));
    SHOW(fchmod(fd, 0600));
    SHOW(fchmod(fd, 0644));
    int source = MUST(memfd("source", 0));
    MUST(write(source, data, 20));
    off_t at = 0;
    lseek(fd, 0, SEEK_SET);
    SHOW(syscall(SYS_sendfile, fd, source, &at, 20));
    at = 0;
    loff_t to = 0;
    SHOW(syscall(SYS_copy_file_range, source, &at, fd, &to, 20, 0));
    SHOW(open(name, O_RDWR | O_TRUNC) >= 0);
    struct stat st;
    MUST(fstat(fd, &st));
    printf("size %ld\n", (long)st.st_size);
    SHOW(SEAL(fd, SEAL_SEAL));
    SHOW(SEAL(fd, GROW));
    SHOW(SEALS(fd));
    close(fd);
    close(source);
}

static void busy(void) {
    int fd = sealed(0);
    char *map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SHOW(SEAL(fd, 64));
    SHOW(SEAL(fd, WRITE));
    SHOW(SEALS(fd));
    SHOW(SEAL(fd, FUTURE_WRITE));
    map[0] = 'x';
    char byte;
    SHOW(pread(fd, &byte, 1, 0));
    SHOW(byte);
    OK(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    SHOW(SEAL(fd, WRITE));
    SHOW(munmap(map, 4096));
    SHOW(SEAL(fd, WRITE));
    SHOW(SEAL(fd, WRITE));
    close(fd);
    fd = sealed(0);
    map = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
    SHOW(SEAL(fd, WRITE));
    SHOW(SEAL(fd, FUTURE_WRITE));
    SHOW(mprotect(map, 4096, PROT_READ | PROT_WRITE));
    close(fd);
    fd = sealed(0);
    map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    map[0] = 'x';
    SHOW(SEAL(fd, WRITE));
    CHILD("inherited", SHOW(SEALS(fd)); SHOW(pwrite(fd, "x", 1, 0)));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("executed from %s\n", argv[1]);
        return 0;
    }
    memset(data, 'd', sizeof data);
    signal(SIGXFSZ, SIG_IGN);
    creation();
    int sets[] = {0, SHRINK, GROW, WRITE, FUTURE_WRITE, EXEC, SHRINK | GROW | WRITE, SEAL_SEAL};
    for (unsigned i = 0; i < sizeof sets / sizeof *sets; i++) try(sets[i]);
    busy();
    int self = MUST(open("/proc/self/exe", O_RDONLY)), fd = MUST(memfd("program", CLOEXEC));
    for (ssize_t got; (got = read(self, data, sizeof data)) > 0;) MUST(write(fd, data, got));
    close(self);
    char *arguments[] = {"program", "memory", 0}, *environment[] = {0};
    syscall(SYS_execveat, fd, "", arguments, environment, 0x1000);
    return 1;
}
