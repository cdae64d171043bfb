/* POSIX message queues: each call in all its shapes, and the signal that tells of a message. */
#include "calls.h"
#include <mqueue.h>

static volatile int got;

static void handler(int signo) { got = signo; }

int main(void) {
    struct mq_attr attr = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 2, .mq_msgsize = 40}, old, none = {0};
    struct timespec past = {1, 2}, wrong = {0, -1};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 5};
    struct sigaction action = {.sa_handler = handler};
    uint64_t mask = BIT(SIGUSR1);
    unsigned priority;
    char text[64], name[] = "linuxemu-traced";
    siginfo_t info;
    sys(mq_open, "no/queue", O_RDONLY);
    sys(mq_open, "no/queue", O_RDWR | O_CREAT, 0600, &attr);
    sys(mq_open, BAD, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
    sys(mq_open, name, O_RDWR | O_CREAT, 0600, BAD);
    sys(mq_open, name, O_RDWR, 0600, BAD);
    sys(mq_unlink, "no/queue");
    sys(mq_unlink, BAD);
    sys(mq_unlink, name);
    int queue = sys(mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    sys(mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0640, &attr);
    sys(mq_open, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    sys(mq_getsetattr, queue, NULL, &old);
    sys(mq_getsetattr, queue, &attr, &old);
    sys(mq_getsetattr, queue, &none, NULL);
    sys(mq_getsetattr, queue, &attr, BAD);
    sys(mq_getsetattr, queue, BAD, NULL);
    sys(mq_getsetattr, -1, &attr, NULL);
    sys(mq_timedsend, queue, "text", 4, 3, &past);
    sys(mq_timedsend, queue, "more than thirty-two bytes of text", 34, 4, NULL);
    sys(mq_timedsend, queue, "text", 4, 3, &past);
    sys(mq_timedsend, queue, "text", 4, 3, &wrong);
    sys(mq_timedsend, queue, "text", 4, 3, BAD);
    sys(mq_timedsend, queue, "text", 41, 3, NULL);
    sys(mq_timedsend, queue, "text", 4, 32768, NULL);
    sys(mq_timedsend, queue, BAD, 4, 3, NULL);
    sys(mq_timedsend, -1, "text", 4, 3, &past);
    sys(read, queue, text, 64);
    sys(mq_timedreceive, queue, text, 64, &priority, NULL);
    sys(mq_timedreceive, queue, text, 10, &priority, NULL);
    sys(mq_timedreceive, queue, text, 64, NULL, &past);
    sys(mq_timedreceive, queue, text, 64, &priority, &past);
    sys(mq_timedreceive, queue, text, 64, &priority, &wrong);
    sys(mq_getsetattr, queue, &none, &old);
    sys(mq_timedreceive, queue, text, 64, &priority, &past);
    sys(mq_timedreceive, -1, text, 64, NULL, BAD);
    sys(rt_sigprocmask, SIG_BLOCK, &mask, NULL, 8);
    sys(mq_notify, -1, NULL);
    sys(mq_notify, queue, BAD);
    sys(mq_notify, queue, &event);
    sys(mq_notify, queue, &event);
    sys(mq_timedsend, queue, "", 0, 0, NULL);
    sys(rt_sigtimedwait, &mask, &info, NULL, 8);
    sys(mq_timedreceive, queue, text, 64, NULL, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sys(mq_notify, queue, &event);
    sys(rt_sigprocmask, SIG_UNBLOCK, &mask, NULL, 8);
    sys(mq_timedsend, queue, "\0\1\377", 3, 32767, NULL);
    sys(mq_timedreceive, queue, text, 64, &priority, NULL);
    event.sigev_notify = SIGEV_NONE;
    sys(mq_notify, queue, &event);
    sys(mq_notify, queue, NULL);
    event.sigev_notify = 99;
    sys(mq_notify, queue, &event);
    sys(mq_unlink, name);
    sys(mq_unlink, name);
    return 0;
}
