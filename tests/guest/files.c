/* Files: open flags, stat, links, names, sizes, times, modes. */
#include "t.h"
#include <dirent.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>

static void show_stat(const char *name) {
    struct stat s;
    if (lstat(name, &s) < 0) {
        printf("%s: %s\n", name, errno_text(errno));
        return;
    }
    printf("%s: mode %o nlink %ld size %ld blocks<=%d uid %d gid %d rdev %lx\n", name, s.st_mode, (long)s.st_nlink,
           (long)s.st_size, s.st_blocks * 512 <= s.st_size + 8192, s.st_uid == getuid(), s.st_gid == getgid(),
           (long)s.st_rdev);
}

static void opening(void) {
    char text[32] = "";
    umask(022);
    SHOW(open("missing", O_RDONLY));
    int fd = open("f", O_WRONLY | O_CREAT | O_EXCL, 0666);
    YES(fd >= 0);
    show_stat("f");
    SHOW(open("f", O_WRONLY | O_CREAT | O_EXCL, 0666));
    SHOW(read(fd, text, 1));
    SHOW(write(fd, "hello world", 11));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, 5, SEEK_END));
    SHOW(write(fd, "!", 1));
    SHOW(lseek(fd, 0, 77));
    close(fd);
    fd = open("f", O_RDWR);
    SHOW(read(fd, text, sizeof text));
    printf("hole %d %d, then %c\n", text[11], text[15], text[16]);
    SHOW(read(fd, text, 1));
    SHOW(pread(fd, text, 5, 6));
    SHOW(pread(fd, text, 5, -1));
    SHOW(pread(fd, text, 5, 1000));
    SHOW(pwrite(fd, "W", 1, 6));
    SHOW(lseek(fd, 0, SEEK_CUR));
    close(fd);
    fd = open("f", O_RDWR | O_APPEND);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(write(fd, "end", 3));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(pwrite(fd, "X", 1, 0));
    show_stat("f");
    close(fd);
    fd = open("f", O_RDWR | O_TRUNC);
    show_stat("f");
    SHOW(ftruncate(fd, 10000));
    show_stat("f");
    SHOW(ftruncate(fd, 3));
    SHOW(ftruncate(fd, -1));
    SHOW(truncate("f", 5));
    SHOW(truncate("missing", 5));
    SHOW(truncate(".", 5));
    close(fd);
    SHOW(write(fd, "x", 1));
    SHOW(close(fd));
    fd = open("f", O_RDONLY);
    SHOW(write(fd, "x", 1));
    SHOW(ftruncate(fd, 1));
    SHOW(read(fd, text, 0));
    close(fd);
    SHOW(open("f/x", O_RDONLY));
    SHOW(open("f/", O_RDONLY));
    SHOW(open("f", O_RDONLY | O_DIRECTORY));
    SHOW(open(".", O_WRONLY));
    SHOW(open(".", O_RDWR | O_CREAT, 0600));
    SHOW(open("", O_RDONLY));
    SHOW(open("new/", O_WRONLY | O_CREAT, 0600));
    int dir = open(".", O_RDONLY | O_DIRECTORY);
    SHOW(read(dir, text, 1));
    SHOW(write(dir, text, 1));
    SHOW(openat(dir, "f", O_RDONLY) >= 0);
    SHOW(openat(99, "f", O_RDONLY));
    SHOW(openat(99, "/", O_RDONLY) >= 0);
    SHOW(openat(fd = open("f", O_RDONLY), "f", O_RDONLY));
    int path = open("f", O_PATH);
    SHOW(read(path, text, 1));
    SHOW(fcntl(path, F_GETFL) & O_PATH);
    struct stat s;
    SHOW(fstat(path, &s));
    SHOW(s.st_size);
    SHOW(fchmod(path, 0600));
    char long_name[300];
    memset(long_name, 'n', 256);
    long_name[256] = 0;
    SHOW(open(long_name, O_RDONLY));
    long_name[255] = 0;
    OK(open(long_name, O_WRONLY | O_CREAT, 0600));
    OK(unlink(long_name));
    static char long_path[5000];
    memset(long_path, '/', 4999);
    SHOW(open(long_path, O_RDONLY));
}

static void links(void) {
    char text[32];
    int fd = MUST(open("one", O_RDWR | O_CREAT, 0640));
    MUST(write(fd, "data", 4));
    SHOW(link("one", "two"));
    show_stat("two");
    SHOW(link("one", "two"));
    SHOW(link("missing", "x"));
    SHOW(link(".", "x"));
    SHOW(unlink("one"));
    show_stat("one");
    show_stat("two");
    SHOW(unlink("two"));
    struct stat s;
    SHOW(fstat(fd, &s));
    SHOW(s.st_nlink);
    SHOW(pread(fd, text, sizeof text, 0));
    SHOW(write(fd, "more", 4));
    SHOW(unlink("two"));
    SHOW(unlink("."));
    close(fd);

    SHOW(symlink("target", "sym"));
    show_stat("sym");
    SHOW(symlink("x", "sym"));
    SHOW(symlink("", "empty"));
    SHOW(readlink("sym", text, sizeof text));
    SHOW(readlink("sym", text, 3));
    SHOW(readlink("sym", text, 0));
    SHOW(readlink(".", text, 3));
    SHOW(open("sym", O_RDONLY));
    fd = open("sym", O_WRONLY | O_CREAT, 0600);
    YES(fd >= 0);
    show_stat("target");
    SHOW(open("sym", O_RDONLY | O_NOFOLLOW));
    SHOW(open("sym", O_WRONLY | O_CREAT | O_EXCL, 0600));
    SHOW(stat("sym", &s));
    SHOW(S_ISREG(s.st_mode));
    SHOW(symlink("loop", "loop"));
    SHOW(open("loop", O_RDONLY));
    SHOW(stat("loop", &s));
    SHOW(lstat("loop", &s));
    SHOW(unlink("loop"));
    SHOW(linkat(AT_FDCWD, "sym", AT_FDCWD, "hard", 0));
    show_stat("hard");
    SHOW(linkat(AT_FDCWD, "sym", AT_FDCWD, "hard2", AT_SYMLINK_FOLLOW));
    show_stat("hard2");
    SHOW(linkat(AT_FDCWD, "sym", AT_FDCWD, "hard3", 0x8000));
    SHOW(faccessat(AT_FDCWD, "sym", R_OK, 0));
    SHOW(access("missing", F_OK));
    SHOW(access("f", 9));
    SHOW(unlink("sym") + unlink("hard") + unlink("hard2") + unlink("target"));
}

static void renames(void) {
    MUST(close(open("a", O_WRONLY | O_CREAT, 0600)));
    MUST(close(open("b", O_WRONLY | O_CREAT, 0644)));
    MUST(mkdir("d", 0755));
    MUST(mkdir("e", 0755));
    MUST(close(open("e/full", O_WRONLY | O_CREAT, 0644)));
    SHOW(rename("a", "b"));
    show_stat("b");
    show_stat("a");
    SHOW(rename("a", "b"));
    SHOW(rename("b", "d"));
    SHOW(rename("d", "b"));
    SHOW(rename("d", "e"));
    SHOW(rename("e", "d"));
    SHOW(access("d/full", F_OK));
    SHOW(rename("d", "d/inside"));
    SHOW(rename(".", "x"));
    SHOW(rename("b", "b"));
    SHOW(rename("b", "missing/x"));
    SHOW(link("b", "c"));
    SHOW(rename("b", "c"));
    show_stat("b");
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 1));
    SHOW(unlink("c"));
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 1));
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "d", 2));
    SHOW(access("c/full", F_OK));
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "d", 3));
    SHOW(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "d", 64));
    SHOW(unlink("c/full") + rmdir("c") + unlink("d"));
}

static void times_and_modes(void) {
    struct stat s;
    int fd = MUST(open("t", O_RDWR | O_CREAT, 0644));
    struct timespec both[2] = {{1000000000, 123456789}, {2000000000, 987654321}};
    SHOW(futimens(fd, both));
    fstat(fd, &s);
    printf("atime %ld.%09ld mtime %ld.%09ld\n", (long)s.st_atim.tv_sec, s.st_atim.tv_nsec, (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    both[0].tv_nsec = UTIME_OMIT;
    both[1].tv_nsec = UTIME_NOW;
    SHOW(utimensat(AT_FDCWD, "t", both, 0));
    fstat(fd, &s);
    printf("atime %ld, mtime now %d\n", (long)s.st_atim.tv_sec, labs((long)s.st_mtim.tv_sec - time(NULL)) < 5);
    both[0].tv_nsec = 2000000000;
    SHOW(utimensat(AT_FDCWD, "t", both, 0));
    SHOW(utimensat(AT_FDCWD, "missing", NULL, 0));
    time_t before = s.st_mtim.tv_sec;
    struct timespec old[2] = {{1, 0}, {1, 0}};
    futimens(fd, old);
    MUST(write(fd, "x", 1));
    fstat(fd, &s);
    YES(s.st_mtim.tv_sec >= before);
    SHOW(chmod("t", 07777));
    show_stat("t");
    SHOW(fchmod(fd, 0200));
    show_stat("t");
    SHOW(chmod("missing", 0));
    SHOW(chown("t", -1, -1));
    SHOW(chown("t", getuid(), getgid()));
    SHOW(umask(077) == 022);
    MUST(close(open("u", O_WRONLY | O_CREAT, 0777)));
    show_stat("u");
    SHOW(umask(01777) == 077);
    SHOW(umask(022));
    SHOW(mknod("node", S_IFIFO | 0600, 0));
    show_stat("node");
    SHOW(mknod("regular", S_IFREG | 0640, 0));
    show_stat("regular");
    SHOW(mknod("dir", S_IFDIR | 0640, 0));
    show_stat("/dev/null");
    show_stat("/dev/zero");
}

/* musl 1.2.3 does not declare it. */
struct statx_head {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, pad;
    uint64_t ino, size, rest[26];
};

static void moving_data(void) {
    int in = MUST(open("in", O_RDWR | O_CREAT, 0600)), out = MUST(open("out", O_RDWR | O_CREAT, 0600));
    static char block[70000], copy[70000];
    for (unsigned i = 0; i < sizeof block; i++) block[i] = (char)(i * 13 + i / 256);
    struct iovec parts[3] = {{block, 30000}, {block + 30000, 0}, {block + 30000, 40000}};
    SHOW(writev(in, parts, 3));
    SHOW(lseek(in, 0, SEEK_SET));
    SHOW(sendfile(out, in, NULL, 50000));
    SHOW(lseek(in, 0, SEEK_CUR));
    off_t from = 50000;
    SHOW(sendfile(out, in, &from, 100000));
    printf("from %ld\n", (long)from);
    SHOW(lseek(in, 0, SEEK_CUR));
    SHOW(pread(out, copy, sizeof copy, 0));
    YES(memcmp(block, copy, sizeof block) == 0);
    struct iovec back[2] = {{copy, 10}, {copy + 10, 20}};
    SHOW(preadv(out, back, 2, 60000));
    YES(memcmp(copy, block + 60000, 30) == 0);
    SHOW(pwritev(out, back, 2, 70000));
    SHOW(lseek(out, 0, SEEK_END));
    SHOW(fallocate(out, 0, 0, 80000));
    SHOW(lseek(out, 0, SEEK_END));
    SHOW(fallocate(out, 1, 0, 90000));
    SHOW(lseek(out, 0, SEEK_END));
    SHOW(fallocate(out, 0, -1, 10));
    SHOW(fallocate(out, 0, 0, 0));
    SHOW(fsync(out) + fdatasync(out));
    SHOW(sendfile(99, in, NULL, 1));
    SHOW(sendfile(in, out, NULL, 0));
    struct statfs fs;
    SHOW(statfs(".", &fs));
    YES(fs.f_bsize > 0 && fs.f_namelen == 255);
    SHOW(statfs("missing", &fs));
    struct statx_head x;
    SHOW(syscall(SYS_statx, AT_FDCWD, "in", 0, 0x7ff, &x));
    printf("statx size %ld mode %o nlink %d mask %d\n", (long)x.size, x.mode, x.nlink, (x.mask & 0x7ff) == 0x7ff);
    SHOW(syscall(SYS_statx, in, "", AT_EMPTY_PATH, 0x200, &x));
    SHOW(syscall(SYS_statx, in, "", 0, 0x200, &x));
    SHOW(syscall(SYS_statx, AT_FDCWD, "in", 0x40, 0x200, &x));
    SHOW(syscall(SYS_statx, AT_FDCWD, "in", 0x6000, 0x200, &x));
}

int main(void) {
    opening();
    links();
    renames();
    times_and_modes();
    moving_data();
    return 0;
}
