/* System V shared memory: segments, where they are attached and what becomes of them. */
#include "t.h"
#include <sys/ipc.h>
#include <grp.h>
#include <sys/shm.h>

#define PAGE 4096
#define BAD_ADDRESS ((void *)8)

static int id;

static struct shmid_ds status(void) {
    struct shmid_ds ds;
    memset(&ds, 0, sizeof ds);
    MUST(shmctl(id, IPC_STAT, &ds));
    return ds;
}

static void show(const char *when) {
    struct shmid_ds ds = status();
    printf("%s: mode %o, size %zu, attached %ld, atime %d, dtime %d, ctime %d, cpid %d, lpid %s\n", when,
           ds.shm_perm.mode, ds.shm_segsz, (long)ds.shm_nattch, ds.shm_atime != 0, ds.shm_dtime != 0,
           ds.shm_ctime != 0, ds.shm_cpid == getpid(),
           !ds.shm_lpid ? "none" : ds.shm_lpid == getpid() ? "mine" : "another");
}

static void maps(void) {
    char line[400];
    FILE *file = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, file)) {
        char *name = strstr(line, "/SYSV");
        unsigned long start, end, offset, number;
        char prot[8], device[8];
        if (!name) continue;
        sscanf(line, "%lx-%lx %s %lx %s %lu", &start, &end, prot, &offset, device, &number);
        printf("%lu pages %s at %lu of %s, number %d: %s", (end - start) / PAGE, prot, offset / PAGE, device,
               number == (unsigned)id, name);
    }
    fclose(file);
}

static void creation(void) {
    key_t key = 0x5e600000 | getpid();
    SHOW(shmget(key, PAGE, 0600));
    SHOW(shmget(IPC_PRIVATE, 0, 0600));
    SHOW(shmget(IPC_PRIVATE, -1, 0600));
    SHOW(shmget(IPC_PRIVATE, 1ul << 62, 0600));
    SHOW(shmget(IPC_PRIVATE, PAGE, 0600 | SHM_HUGETLB | 5 << 26));
    id = MUST(shmget(key, 10000, 0640 | IPC_CREAT | IPC_EXCL));
    SHOW(shmget(key, PAGE, 0600 | IPC_CREAT | IPC_EXCL));
    SHOW(shmget(key, 10001, 0600));
    YES(shmget(key, 10000, 0600) == id);
    YES(shmget(key, 0, 0) == id);
    YES(shmget(key, 1, IPC_CREAT | 0777) == id);
    struct shmid_ds ds = status();
    YES(ds.shm_perm.__key == key);
    YES(ds.shm_perm.uid == geteuid() && ds.shm_perm.cuid == geteuid());
    YES(ds.shm_perm.gid == getegid() && ds.shm_perm.cgid == getegid());
    show("new");
    char *at = shmat(id, 0, 0);
    show("attached");
    strcpy(at + 5000, "hello");
    CHILD("inherited", printf("%s\n", at + 5000); strcpy(at, "from a child"); show("in a child"));
    printf("%s\n", at);
    show("after it");
    ds.shm_perm.mode = 0123600;
    ds.shm_segsz = 1;
    SHOW(shmctl(id, IPC_SET, &ds));
    show("set");
    ds.shm_perm.uid = -1;
    SHOW(shmctl(id, IPC_SET, &ds));
    SHOW(shmctl(id, IPC_SET, BAD_ADDRESS));
    SHOW(shmctl(id, IPC_STAT, BAD_ADDRESS));
    SHOW(shmctl(id, IPC_RMID, 0));
    show("removed");
    YES(status().shm_perm.__key == 0);
    SHOW(shmget(key, 1, 0));
    char *again = shmat(id, 0, SHM_RDONLY);
    YES(again != (void *)-1);
    printf("%s\n", again);
    SHOW(shmdt(at));
    SHOW(shmctl(id, IPC_RMID, 0));
    show("once");
    SHOW(shmdt(again));
    SHOW(shmctl(id, IPC_STAT, &ds));
    OK(shmat(id, 0, 0));
    SHOW(shmctl(id, IPC_RMID, 0));
}

static void places(void) {
    char *room = mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    id = MUST(shmget(IPC_PRIVATE, 3 * PAGE - 10, 0700));
    SHOW(shmat(-1, 0, 0));
    SHOW(shmat(id + 32768, 0, 0));
    SHOW(shmat(id, 0, SHM_REMAP));
    SHOW(shmat(id, room, 0));
    SHOW(shmat(id, room + 1, SHM_REMAP));
    SHOW(shmat(id, (void *)1, SHM_RND | SHM_REMAP));
    SHOW(shmat(id, (void *)0x7ffffffff000, 0));
    SHOW(shmat(id, (void *)0xfffffffffffff000, 0));
    SHOW(shmat(id, (void *)0xfffffffffffff000, SHM_REMAP));
    YES(shmat(id, room + PAGE, SHM_REMAP) == room + PAGE);
    maps();
    YES(shmat(id, room + 8 * PAGE + 99, SHM_RND | SHM_REMAP | SHM_EXEC) == room + 8 * PAGE);
    show("twice");
    room[PAGE + 5] = 'x';
    YES(room[8 * PAGE + 5] == 'x');
    munmap(room, PAGE);
    YES(shmat(id, room - 2 * PAGE, 0) == room - 2 * PAGE || errno == EINVAL);
    SHOW(munmap(room + 2 * PAGE, PAGE));
    show("with a hole");
    maps();
    SHOW(shmdt(room + PAGE + 1));
    SHOW(shmdt(room + 3 * PAGE));
    SHOW(shmdt(room + 2 * PAGE));
    SHOW(shmdt(room + PAGE));
    SHOW(shmdt(room + PAGE));
    SHOW(mprotect(room + 9 * PAGE, PAGE, PROT_NONE));
    show("parts");
    SHOW(mprotect(room + 9 * PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
    show("still parts");
    maps();
    SHOW(shmdt(room + 8 * PAGE));
    char *at = shmat(id, 0, SHM_RDONLY);
    SHOW(mprotect(at, PAGE, PROT_READ | PROT_WRITE));
    SHOW(mprotect(at, 3 * PAGE, PROT_READ | PROT_EXEC));
    CHILD("read only", no_core(); at[0] = 1);
    CHILD("past the end", no_core(); at = mremap(at + PAGE, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE); show("grown");
          printf("%d\n", at[PAGE]); at[3 * PAGE] = 1);
    YES((at = mremap(at, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room + PAGE)) == room + PAGE);
    show("moved");
    SHOW(shmdt(at));
    MUST(shmctl(id, IPC_RMID, 0));
}

static void ends(char *self) {
    id = MUST(shmget(IPC_PRIVATE, PAGE, 0600));
    char *at = shmat(id, 0, 0);
    pid_t pid = fork();
    if (!pid) {
        show("a child's");
        execl(self, self, "executed", (char *)0);
        _exit(1);
    }
    int how;
    waitpid(pid, &how, 0);
    show_status("executed", how);
    show("after an exec");
    YES(status().shm_lpid == pid);
    CHILD("detaching", SHOW(shmdt(at)); show("detached"));
    CHILD("exit", pid = getpid());
    show("after an exit");
    pid = fork();
    if (!pid) {
        MUST(shmctl(id, IPC_RMID, 0));
        MUST(shmdt(at));
        _exit(0);
    }
    waitpid(pid, &how, 0);
    show("removed by a child");
    strcpy(at, "still there");
    printf("%s\n", at);
    SHOW(shmdt(at));
    SHOW(shmctl(id, IPC_STAT, BAD_ADDRESS));
}

static void information(void) {
    struct shminfo limits;
    struct shm_info used;
    struct shmid_ds ds;
    id = MUST(shmget(IPC_PRIVATE, 3 * PAGE, 0600));
    YES(shmctl(0, IPC_INFO, (void *)&limits) >= id % 32768);
    printf("%lu %lu %lu %lu %lu\n", limits.shmmax, limits.shmmin, limits.shmmni, limits.shmseg, limits.shmall);
    YES(shmctl(0, SHM_INFO, (void *)&used) >= id % 32768);
    YES(used.used_ids >= 1 && used.shm_tot >= 3);
    YES(shmctl(id % 32768, SHM_STAT, &ds) == id);
    YES(shmctl(id, SHM_STAT_ANY, &ds) == id);
    printf("size %zu\n", ds.shm_segsz);
    SHOW(shmctl(0, IPC_INFO, BAD_ADDRESS));
    SHOW(shmctl(0, SHM_INFO, BAD_ADDRESS));
    SHOW(shmctl(id, SHM_STAT, BAD_ADDRESS));
    SHOW(shmctl(-1, IPC_INFO, (void *)&limits));
    SHOW(shmctl(30000, SHM_STAT, &ds));
    SHOW(shmctl(id, 99, &ds));
    SHOW(shmctl(id, 0x100 | IPC_STAT, &ds));
    SHOW(shmctl(id, -1, &ds));
    SHOW(shmctl(id, SHM_LOCK, 0));
    SHOW(shmctl(id, SHM_LOCK, 0));
    show("locked");
    SHOW(shmctl(id, SHM_UNLOCK, 0));
    SHOW(shmctl(id, SHM_UNLOCK, 0));
    show("unlocked");
    SHOW(shmctl(id, IPC_RMID, 0));
    int next = MUST(shmget(IPC_PRIVATE, 1, 0));
    YES(next != id);
    MUST(shmctl(next, IPC_RMID, 0));
}

/* What another user may do; only root can try. */
static void strangers(void) {
    struct shmid_ds ds;
    key_t key = 0x5e610000 | getpid();
    id = MUST(shmget(key, PAGE, 0640 | IPC_CREAT));
    CHILD("stranger", if (geteuid()) _exit(0); MUST(setgroups(0, 0)); MUST(setgid(1234)); MUST(setuid(1234));
          SHOW(shmget(key, 1, 0400)); SHOW(shmget(key, 1, 0004)); YES(shmget(key, 1, 0) == id); SHOW(shmat(id, 0, SHM_RDONLY));
          SHOW(shmctl(id, IPC_STAT, &ds)); SHOW(shmctl(id, SHM_STAT, &ds)); YES(shmctl(id, SHM_STAT_ANY, &ds) == id);
          SHOW(shmctl(id, IPC_SET, &ds)); SHOW(shmctl(id, IPC_RMID, 0)); SHOW(shmctl(id, SHM_LOCK, 0));
          SHOW(shmctl(id, SHM_UNLOCK, 0)); SHOW(shmget(IPC_PRIVATE, PAGE, 0600 | SHM_HUGETLB)));
    CHILD("of the group", if (geteuid()) _exit(0); MUST(setgroups(0, 0)); MUST(setuid(1234)); SHOW(shmat(id, 0, 0));
          OK(shmat(id, 0, SHM_RDONLY)); SHOW(shmat(id, 0, SHM_RDONLY | SHM_EXEC)); SHOW(shmctl(id, IPC_STAT, &ds));
          SHOW(shmget(key, 1, 0600)); YES(shmget(key, 1, 0400) == id));
    MUST(shmctl(id, IPC_STAT, &ds));
    ds.shm_perm.uid = 1234;
    CHILD("given away", if (geteuid()) _exit(0); MUST(shmctl(id, IPC_SET, &ds)); MUST(setgid(1234)); MUST(setuid(1234));
          OK(shmat(id, 0, 0)); ds.shm_perm.mode = 0; SHOW(shmctl(id, IPC_SET, &ds)); SHOW(shmat(id, 0, 0));
          SHOW(shmctl(id, SHM_LOCK, 0)); struct rlimit none = {PAGE, PAGE}; MUST(setrlimit(RLIMIT_MEMLOCK, &none));
          SHOW(shmctl(id, SHM_LOCK, 0)); SHOW(shmctl(id, SHM_UNLOCK, 0));
          int other = MUST(shmget(IPC_PRIVATE, 2 * PAGE, 0)); SHOW(shmctl(other, SHM_LOCK, 0));
          MUST(shmctl(other, IPC_RMID, 0)); none.rlim_cur = 0; MUST(setrlimit(RLIMIT_MEMLOCK, &none));
          SHOW(shmctl(id, SHM_LOCK, 0)));
    MUST(shmctl(id, IPC_RMID, 0));
}

int main(int argc, char **argv) {
    if (argc > 1) return 0;
    creation();
    places();
    ends(argv[0]);
    information();
    strangers();
    struct rlimit small = {64 << 20, 64 << 20};
    id = MUST(shmget(IPC_PRIVATE, 128 << 20, 0666));
    CHILD("no room", MUST(setrlimit(RLIMIT_AS, &small)); SHOW(shmat(id, 0, 0)));
    struct rlimit lockable = {PAGE, PAGE};
    CHILD("locked", MUST(setrlimit(RLIMIT_MEMLOCK, &lockable)); if (geteuid()) _exit(0); MUST(mlockall(MCL_FUTURE));
          MUST(setuid(1234)); OK(shmat(id, 0, 0)));
    MUST(shmctl(id, IPC_RMID, 0));
    return 0;
}
