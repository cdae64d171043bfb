/* mmap and its family, brk, sharing across fork, file mappings. */
#include "t.h"

#define PAGE 4096

static void *map(size_t length, int prot, int flags, int fd, long offset) {
    void *p = mmap(NULL, length, prot, flags, fd, offset);
    return p;
}

static void anonymous(void) {
    char *p = map(10 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    YES(p != MAP_FAILED);
    int zero = 1;
    for (int i = 0; i < 10 * PAGE; i += 512) zero &= p[i] == 0;
    YES(zero);
    memset(p, 7, 10 * PAGE);
    SHOW(munmap(p + 4 * PAGE, PAGE));
    YES(p[3 * PAGE] == 7 && p[5 * PAGE] == 7);
    SHOW(mprotect(p, 10 * PAGE, PROT_READ));
    SHOW(mprotect(p, 4 * PAGE, PROT_READ));
    SHOW(mprotect(p + 1, PAGE, PROT_READ));
    SHOW(mprotect(p, PAGE, 0x100));
    SHOW(munmap(p + 1, PAGE));
    SHOW(munmap(p, 0));
    SHOW(munmap(p, 10 * PAGE));
    SHOW(munmap(p, 10 * PAGE));
    errno = 0;
    YES(map(0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    errno = 0;
    YES(map(PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    errno = 0;
    YES(map(PAGE, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
    errno = 0;
    YES(map(1UL << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);

    char *q = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(q + PAGE, "middle");
    YES(mmap(q, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == q);
    YES(strcmp(q + PAGE, "middle") == 0);
    errno = 0;
    YES(mmap(q + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
    char *hint = mmap(q + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    YES(hint != MAP_FAILED && hint != q && ((uintptr_t)hint & (PAGE - 1)) == 0);
}

static void remap(void) {
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 4; i++) p[i * PAGE] = (char)('a' + i);
    YES(mremap(p, 4 * PAGE, 2 * PAGE, 0) == p);
    char *bigger = mremap(p, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    YES(bigger != MAP_FAILED && bigger[0] == 'a' && bigger[PAGE] == 'b' && bigger[2 * PAGE] == 0);
    bigger[63 * PAGE] = 'z';
    char *place = map(64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    YES(mremap(bigger, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    YES(place[0] == 'a' && place[63 * PAGE] == 'z');
    errno = 0;
    YES(mremap(bigger, PAGE, PAGE, 0) == MAP_FAILED && errno == EFAULT);
    errno = 0;
    YES(mremap(place + 1, PAGE, PAGE, 0) == MAP_FAILED && errno == EINVAL);
    errno = 0;
    YES(mremap(place, PAGE, 0, 0) == MAP_FAILED && errno == EINVAL);
    errno = 0;
    YES(mremap(place, PAGE, PAGE, 64) == MAP_FAILED && errno == EINVAL);
}

static void breaks(void) {
    /* By the bare call: musl's sbrk refuses to move. */
    long start = syscall(SYS_brk, 0);
    long page = (start + PAGE - 1) & -PAGE;
    YES(syscall(SYS_brk, page + 3 * PAGE) == page + 3 * PAGE);
    memset((char *)page, 1, 3 * PAGE);
    YES(syscall(SYS_brk, 0) == page + 3 * PAGE);
    YES(syscall(SYS_brk, page) == page);
    YES(syscall(SYS_brk, page + 3 * PAGE) == page + 3 * PAGE);
    YES(((char *)page)[PAGE] == 0);
    YES(syscall(SYS_brk, 1) == page + 3 * PAGE);
    YES(syscall(SYS_brk, 1UL << 62) == page + 3 * PAGE);
    YES(syscall(SYS_brk, start) == start);
    for (int i = 0; i < 200; i++) {
        char *p = malloc(50000);
        memset(p, i, 50000);
        if (i % 3) free(p);
    }
    printf("malloc works\n");
}

static void sharing(void) {
    int *shared = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int *private = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *shared = 1;
    *private = 1;
    pid_t child = MUST(fork());
    if (child == 0) {
        *shared += 10;
        *private += 10;
        if (fork() == 0) {
            *shared += 100;
            _exit(*private);
        }
        int status;
        wait(&status);
        _exit(WEXITSTATUS(status));
    }
    int status;
    wait(&status);
    printf("shared %d private %d child %d\n", *shared, *private, WEXITSTATUS(status));
    /* A page first touched after the fork is shared too. */
    int *later = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHILD("touch", later[5 * 1024] = 77);
    printf("later %d\n", later[5 * 1024]);
}

static void files(void) {
    int fd = MUST(open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600));
    char text[5000];
    memset(text, 'x', sizeof text);
    memcpy(text, "start", 5);
    MUST(write(fd, text, sizeof text));
    char *shared = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    printf("%.5s %.5s tail zero %d\n", shared, private, shared[5000] == 0 && shared[2 * PAGE - 1] == 0);
    memcpy(private, "mine!", 5);
    memcpy(shared + 100, "through", 7);
    char back[8] = "";
    MUST(pread(fd, back, 7, 100));
    printf("read sees %s, private sees %.7s\n", back, private + 100);
    MUST(pwrite(fd, "written", 7, 200));
    printf("mapping sees %.7s\n", shared + 200);
    printf("other page of the private one sees %.5s\n", private + PAGE);
    SHOW(msync(shared, 2 * PAGE, MS_SYNC));
    SHOW(msync(shared, 2 * PAGE, 64));
    SHOW(msync(shared + 1, PAGE, MS_SYNC));
    CHILD("child writes", memcpy(shared + 300, "child", 5));
    MUST(pread(fd, back, 5, 300));
    back[5] = 0;
    printf("parent reads %s\n", back);
    SHOW(munmap(shared, 2 * PAGE));
    close(fd);
    fd = MUST(open("mapped", O_RDONLY));
    MUST(pread(fd, back, 7, 100));
    back[7] = 0;
    printf("after unmap %s\n", back);
    struct stat s;
    fstat(fd, &s);
    printf("size %ld\n", (long)s.st_size);
    errno = 0;
    YES(map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
    YES(map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    errno = 0;
    YES(map(PAGE, PROT_READ, MAP_PRIVATE, fd, 1) == MAP_FAILED && errno == EINVAL);
    char *beyond = map(4 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    no_core();
    CHILD("inside the last page", volatile char c = beyond[2 * PAGE - 1]; (void)c);
    CHILD("beyond the end", volatile char c = beyond[3 * PAGE]; (void)c);
    close(fd);
    printf("mapping outlives the descriptor: %.5s\n", beyond);
    unlink("mapped");
    printf("and the name: %.5s\n", beyond);
    int only = MUST(open("wo", O_WRONLY | O_CREAT, 0600));
    errno = 0;
    YES(map(PAGE, PROT_READ, MAP_PRIVATE, only, 0) == MAP_FAILED && errno == EACCES);
    int p[2];
    MUST(pipe(p));
    errno = 0;
    YES(map(PAGE, PROT_READ, MAP_PRIVATE, p[0], 0) == MAP_FAILED && errno == ENODEV);
}

static void code(void) {
    static const unsigned char returns_7[] = {0xb8, 7, 0, 0, 0, 0xc3}, returns_9[] = {0xb8, 9, 0, 0, 0, 0xc3};
    unsigned char *p = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, returns_7, sizeof returns_7);
    SHOW(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    SHOW(((int (*)(void))p)());
    SHOW(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
    memcpy(p, returns_9, sizeof returns_9);
    SHOW(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    SHOW(((int (*)(void))p)());
    unsigned char *rwx = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 5; i++) {
        memcpy(rwx, returns_7, sizeof returns_7);
        rwx[1] = (unsigned char)i;
        printf("%d ", ((int (*)(void))rwx)());
    }
    printf("\n");
    CHILD("child's own code", rwx[1] = 50; _exit(((int (*)(void))rwx)()));
    SHOW(((int (*)(void))rwx)());
}

static void advice(void) {
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 5, 4 * PAGE);
    SHOW(madvise(p, PAGE, MADV_DONTNEED));
    printf("%d %d\n", p[0], p[PAGE]);
    SHOW(madvise(p, PAGE, MADV_WILLNEED));
    SHOW(madvise(p + 1, PAGE, MADV_DONTNEED));
    SHOW(madvise(p, PAGE, 9999));
}

int main(void) {
    anonymous();
    remap();
    breaks();
    sharing();
    files();
    code();
    advice();
    return 0;
}
