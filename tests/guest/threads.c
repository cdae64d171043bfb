/* POSIX threads: everything that futex, clone and the TLS register carry. Prints only what is certain. */
#include "t.h"
#include <pthread.h>
#include <semaphore.h>

#define COUNT 8
#define ROUNDS 2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static sem_t semaphore;
static long counter, turns, destroyed, initialised;
static __thread long own = 5;
static volatile int ready;

static void *count(void *argument) {
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return (char *)argument + 100;
}

static void mutexes(void) {
    pthread_t threads[COUNT];
    long sum = 0;
    for (long i = 0; i < COUNT; i++) SHOW(pthread_create(&threads[i], NULL, count, (void *)i));
    for (int i = 0; i < COUNT; i++) {
        void *result;
        SHOW(pthread_join(threads[i], &result));
        sum += (long)result;
    }
    printf("counter %ld sum %ld\n", counter, sum);
    SHOW(pthread_mutex_trylock(&mutex));
    SHOW(pthread_mutex_trylock(&mutex));
    SHOW(pthread_mutex_unlock(&mutex));
    struct timespec past = {1, 0};
    pthread_mutex_lock(&mutex);
    printf("timed lock: %s\n", strerror(pthread_mutex_timedlock(&mutex, &past)));
    pthread_mutex_unlock(&mutex);
}

static void *take_turns(void *argument) {
    long me = (long)argument;
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&mutex);
        while (turns % 4 != me) pthread_cond_wait(&condition, &mutex);
        turns++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void conditions(void) {
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) MUST(pthread_create(&threads[i], NULL, take_turns, (void *)i));
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    printf("turns %ld\n", turns);
    struct timespec when;
    clock_gettime(CLOCK_REALTIME, &when);
    when.tv_nsec += 20000000;
    if (when.tv_nsec >= 1000000000) when.tv_sec++, when.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    printf("timed wait: %s\n", strerror(pthread_cond_timedwait(&condition, &mutex, &when)));
    pthread_mutex_unlock(&mutex);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    YES(now.tv_sec > when.tv_sec || (now.tv_sec == when.tv_sec && now.tv_nsec >= when.tv_nsec));
}

static void *meet(void *argument) {
    int serial = 0;
    for (int i = 0; i < 20; i++) {
        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        if (__atomic_load_n(&counter, __ATOMIC_SEQ_CST) != (i + 1) * 5) return (void *)-1L;
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    }
    return (void *)(long)serial;
}

static void barriers(void) {
    pthread_t threads[5];
    long serial = 0;
    counter = 0;
    pthread_barrier_init(&barrier, NULL, 5);
    for (int i = 0; i < 5; i++) MUST(pthread_create(&threads[i], NULL, meet, NULL));
    for (int i = 0; i < 5; i++) {
        void *result;
        pthread_join(threads[i], &result);
        serial += (long)result;
    }
    printf("barriers passed %ld serial %ld\n", counter, serial);
}

static void *read_or_write(void *argument) {
    long writer = (long)argument;
    for (int i = 0; i < 200; i++) {
        if (writer) {
            pthread_rwlock_wrlock(&rwlock);
            counter++;
            own = counter;
            sched_yield();
            if (own != counter) ready = -1;
            counter++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            if (counter & 1) ready = -1;
        }
        pthread_rwlock_unlock(&rwlock);
    }
    return NULL;
}

static void readers_and_writers(void) {
    pthread_t threads[6];
    counter = 0;
    ready = 0;
    for (long i = 0; i < 6; i++) MUST(pthread_create(&threads[i], NULL, read_or_write, (void *)(i % 3 == 0)));
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    printf("written %ld torn %d own %ld\n", counter, ready, own);
}

static void forget(void *value) { __atomic_fetch_add(&destroyed, (long)value, __ATOMIC_SEQ_CST); }
static void initialise(void) { initialised++; }

static void *keep(void *argument) {
    pthread_once(&once, initialise);
    pthread_setspecific(key, argument);
    own += (long)argument;
    sched_yield();
    return (void *)(own == 5 + (long)argument && pthread_getspecific(key) == argument ? 1L : 0L);
}

static void thread_data(void) {
    pthread_t threads[COUNT];
    long good = 0;
    SHOW(pthread_key_create(&key, forget));
    for (long i = 0; i < COUNT; i++) MUST(pthread_create(&threads[i], NULL, keep, (void *)(i + 1)));
    for (int i = 0; i < COUNT; i++) {
        void *result;
        pthread_join(threads[i], &result);
        good += (long)result;
    }
    printf("good %ld destroyed %ld initialised %ld mine %ld\n", good, destroyed, initialised, own);
}

static const char *cleaned;
static void clean_up(void *argument) { cleaned = argument; }

static void *cancelled(void *argument) {
    pthread_cleanup_push(clean_up, "after cancellation");
    sem_post(&semaphore);
    for (;;) {
        if (argument) pause();
        else pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void *exits(void *argument) {
    pthread_cleanup_push(clean_up, "after exit");
    pthread_exit(argument);
    pthread_cleanup_pop(0);
    return NULL;
}

static void endings(void) {
    pthread_t thread;
    void *result;
    SHOW(sem_init(&semaphore, 0, 0));
    for (long blocked = 0; blocked < 2; blocked++) {
        MUST(pthread_create(&thread, NULL, cancelled, (void *)blocked));
        SHOW(sem_wait(&semaphore));
        SHOW(pthread_cancel(thread));
        SHOW(pthread_join(thread, &result));
        YES(result == PTHREAD_CANCELED);
        printf("cleaned up %s\n", cleaned);
        cleaned = "not at all";
    }
    MUST(pthread_create(&thread, NULL, exits, (void *)77));
    SHOW(pthread_join(thread, &result));
    printf("exit value %ld cleaned up %s\n", (long)result, cleaned);
    SHOW(sem_trywait(&semaphore));
    struct timespec past = {1, 0};
    SHOW(sem_timedwait(&semaphore, &past));
}

static void *many(void *argument) {
    sem_post(&semaphore);
    return NULL;
}

static void crowds(void) {
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 65536);
    pthread_t thread;
    for (int i = 0; i < 300; i++) {
        while (pthread_create(&thread, &detached, many, NULL)) sched_yield();
        if (i % 10 == 9)
            for (int k = 0; k < 10; k++) sem_wait(&semaphore);
    }
    printf("300 came and went\n");
}

static void between_processes(void) {
    struct { pthread_mutex_t mutex; pthread_cond_t condition; sem_t semaphore; int value; } *shared;
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_condattr_t condition_attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_condattr_init(&condition_attributes);
    pthread_condattr_setpshared(&condition_attributes, PTHREAD_PROCESS_SHARED);
    SHOW(pthread_mutex_init(&shared->mutex, &attributes));
    SHOW(pthread_cond_init(&shared->condition, &condition_attributes));
    SHOW(sem_init(&shared->semaphore, 1, 0));
    int status;
    if (!fork()) {
        for (int i = 0; i < 500; i++) {
            pthread_mutex_lock(&shared->mutex);
            shared->value++;
            pthread_cond_signal(&shared->condition);
            pthread_mutex_unlock(&shared->mutex);
        }
        sem_post(&shared->semaphore);
        _exit(0);
    }
    pthread_mutex_lock(&shared->mutex);
    while (shared->value < 500) pthread_cond_wait(&shared->condition, &shared->mutex);
    pthread_mutex_unlock(&shared->mutex);
    SHOW(sem_wait(&shared->semaphore));
    wait(&status);
    show_status("counting child", status);
    if (!fork()) {
        pthread_mutex_lock(&shared->mutex);
        _exit(1);
    }
    wait(&status);
    show_status("child that died with the lock", status);
    printf("robust lock: %s\n", strerror(pthread_mutex_lock(&shared->mutex)));
    SHOW(pthread_mutex_consistent(&shared->mutex));
    SHOW(pthread_mutex_unlock(&shared->mutex));
    SHOW(pthread_mutex_lock(&shared->mutex));
}

static void *signalled(void *argument) {
    sigset_t set;
    int signo = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sem_post(&semaphore);
    sigwait(&set, &signo);
    return (void *)(long)signo;
}

static void signals_and_threads(void) {
    pthread_t thread;
    sigset_t set;
    void *result;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    MUST(pthread_create(&thread, NULL, signalled, NULL));
    sem_wait(&semaphore);
    SHOW(pthread_kill(thread, SIGUSR1));
    pthread_join(thread, &result);
    printf("got %ld\n", (long)result);
}

static void *forks(void *argument) {
    int status;
    pid_t child = fork();
    if (!child) {
        own = 99;
        _exit(getpid() == syscall(SYS_gettid) && pthread_self() ? 42 : 1);
    }
    waitpid(child, &status, 0);
    show_status("child of a thread", status);
    return NULL;
}

int main(void) {
    mutexes();
    conditions();
    barriers();
    readers_and_writers();
    thread_data();
    endings();
    crowds();
    between_processes();
    signals_and_threads();
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, forks, NULL));
    pthread_join(thread, NULL);
    MUST(pthread_create(&thread, NULL, cancelled, (void *)1L));
    sem_wait(&semaphore);
    printf("leaving a thread behind\n");
    return 7;
}
