/* Directories: making, listing while changing, walking with "..", current directory. */
#include "t.h"
#include <dirent.h>
#include <limits.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *path) {
    char *names[200];
    int n = 0;
    DIR *d = opendir(path);
    if (!d) {
        printf("%s: %s\n", path, errno_text(errno));
        return;
    }
    struct dirent *e;
    while ((e = readdir(d)) && n < 200) {
        char line[300];
        snprintf(line, sizeof line, "%s/%d", e->d_name, e->d_type);
        names[n++] = strdup(line);
    }
    closedir(d);
    qsort(names, (size_t)n, sizeof *names, by_name);
    printf("%s:", path);
    for (int i = 0; i < n; i++) printf(" %s", names[i]);
    printf("\n");
}

static ino_t number(const char *path) {
    struct stat s;
    return stat(path, &s) < 0 ? 0 : s.st_ino;
}

int main(void) {
    umask(022);
    char top[PATH_MAX], here[PATH_MAX];
    MUST(getcwd(top, sizeof top) ? 0 : -1);
    SHOW(mkdir("d", 0777));
    SHOW(mkdir("d", 0777));
    SHOW(mkdir("d/", 0777));
    SHOW(mkdir("new/", 0700));
    SHOW(mkdir("no/where", 0777));
    SHOW(mkdir("", 0777));
    SHOW(mkdir("d/sub", 01777));
    struct stat s;
    SHOW(stat("d/sub", &s));
    printf("mode %o\n", s.st_mode);
    SHOW(rmdir("d"));
    SHOW(rmdir("d/."));
    SHOW(rmdir("d/sub/.."));
    SHOW(rmdir("/"));
    MUST(close(open("d/file", O_WRONLY | O_CREAT, 0600)));
    MUST(symlink("file", "d/link"));
    MUST(mkfifo("d/fifo", 0600));
    list("d");
    list("d/file");
    list("missing");
    SHOW(rmdir("d/file"));
    SHOW(unlink("d/sub") == -1 && (errno == EISDIR || errno == EPERM));
    SHOW(unlinkat(AT_FDCWD, "d/sub", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "d/file", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "d/file", 1));
    list("d");

    YES(number("d/..") == number("."));
    YES(number("d/../d/.") == number("d"));
    YES(number("/..") == number("/"));
    SHOW(chdir("d"));
    getcwd(here, sizeof here);
    printf("inside: %s\n", here + strlen(top));
    SHOW(chdir("file"));
    SHOW(chdir("missing"));
    SHOW(syscall(SYS_getcwd, here, 2));
    YES(syscall(SYS_getcwd, here, sizeof here) == (long)strlen(here) + 1);
    SHOW(rename("../d", "../moved"));
    getcwd(here, sizeof here);
    printf("moved: %s\n", here + strlen(top));
    int dir = MUST(open(".", O_RDONLY));
    SHOW(chdir(".."));
    SHOW(fchdir(dir));
    SHOW(fchdir(99));
    MUST(chdir(top));
    MUST(mkdir("gone", 0700));
    MUST(chdir("gone"));
    MUST(rmdir("../gone"));
    errno = 0;
    YES(getcwd(here, sizeof here) == NULL && errno == ENOENT);
    SHOW(open("x", O_WRONLY | O_CREAT, 0600));
    SHOW(mkdir("x", 0700));
    list(".");
    MUST(chdir(top));

    /* Many entries; half of them removed while the list is read. */
    MUST(mkdir("many", 0755));
    for (int i = 0; i < 500; i++) {
        char name[40];
        snprintf(name, sizeof name, "many/entry-with-a-longer-name-%03d", i);
        MUST(close(open(name, O_WRONLY | O_CREAT, 0600)));
    }
    DIR *d = opendir("many");
    int seen = 0, dots = 0;
    struct dirent *e;
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.') {
            dots++;
            continue;
        }
        seen++;
        char name[300];
        snprintf(name, sizeof name, "many/%s", e->d_name);
        MUST(unlink(name));
    }
    printf("seen %d dots %d\n", seen, dots);
    rewinddir(d);
    seen = 0;
    while ((e = readdir(d))) seen++;
    printf("after removal %d\n", seen);
    closedir(d);
    for (int i = 0; i < 50; i++) {
        char name[40];
        snprintf(name, sizeof name, "many/%d", i);
        MUST(close(open(name, O_WRONLY | O_CREAT, 0600)));
    }
    d = opendir("many");
    long where = 0;
    char twentieth[300] = "";
    for (int i = 0; i < 20; i++) {
        where = telldir(d);
        e = readdir(d);
        strcpy(twentieth, e->d_name);
    }
    while (readdir(d)) {}
    seekdir(d, where);
    e = readdir(d);
    YES(e && strcmp(e->d_name, twentieth) == 0);
    closedir(d);
    dir = MUST(open("many", O_RDONLY | O_DIRECTORY));
    char buffer[1024];
    SHOW(syscall(SYS_getdents64, dir, buffer, 10));
    SHOW(syscall(SYS_getdents64, dir, buffer, sizeof buffer) > 0);
    SHOW(syscall(SYS_getdents64, dir, (char *)8, sizeof buffer));
    int file = MUST(open("plain", O_RDONLY | O_CREAT, 0600));
    SHOW(syscall(SYS_getdents64, file, buffer, sizeof buffer));
    SHOW(syscall(SYS_getdents64, 99, buffer, sizeof buffer));
    SHOW(rmdir("many"));

    /* A deep tree, walked down and up. */
    MUST(chdir(top));
    for (int i = 0; i < 60; i++) {
        MUST(mkdir("deeper-and-deeper", 0700));
        MUST(chdir("deeper-and-deeper"));
    }
    getcwd(here, sizeof here);
    printf("depth %zu\n", (strlen(here) - strlen(top)) / 18);
    for (int i = 0; i < 60; i++) {
        MUST(chdir(".."));
        MUST(rmdir("deeper-and-deeper"));
    }
    getcwd(here, sizeof here);
    YES(strcmp(here, top) == 0);
    return 0;
}
