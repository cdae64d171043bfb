/* System V shared memory, semaphores and message queues. */
#include "calls.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define NO_KEY 0x5e650001

static struct { long type; char text[10000]; } large = {1, "large"};

int main(void) {
    struct timespec time = {0, 2}, wrong = {0, -1};
    struct sembuf operations[2] = {{0, 1, SEM_UNDO}, {1, -1, IPC_NOWAIT}};
    struct { long type; char text[8]; } message = {5, "text"};
    struct shmid_ds segment;
    struct semid_ds set;
    struct msqid_ds queue;
    unsigned short values[2] = {3, 4};
    sys(shmget, NO_KEY, 4096, 0600);
    sys(shmget, NO_KEY, 0, IPC_EXCL | SHM_HUGETLB | 0777);
    sys(shmat, -1, NULL, SHM_RDONLY | SHM_RND);
    sys(shmat, -1, BAD, SHM_EXEC | SHM_REMAP);
    sys(shmdt, BAD);
    sys(shmctl, -1, IPC_RMID, NULL);
    sys(shmctl, -1, IPC_STAT, BAD);
    sys(semget, NO_KEY, 0, 0600);
    sys(semget, NO_KEY, -1, IPC_CREAT | IPC_EXCL | 0600);
    sys(semop, -1, operations, 2);
    sys(semtimedop, -1, operations, 2, &time);
    sys(semctl, -1, 0, SETVAL, 5);
    sys(semctl, -1, 0, IPC_RMID, 0);
    sys(msgget, NO_KEY, 0600);
    sys(msgsnd, -1, &message, 5, IPC_NOWAIT);
    sys(msgrcv, -1, &message, 8, -5, MSG_NOERROR | IPC_NOWAIT);
    sys(msgctl, -1, IPC_RMID, NULL);
    long id = sys(shmget, IPC_PRIVATE, 5000, IPC_CREAT | 0640);
    long at = sys(shmat, id, NULL, 0);
    sys(shmat, id, NULL, SHM_REMAP);
    sys(shmctl, id, IPC_STAT, &segment);
    segment.shm_perm.mode = 0600;
    sys(shmctl, id, IPC_SET, &segment);
    sys(shmctl, id, SHM_STAT, &segment);
    sys(shmctl, id, SHM_STAT_ANY, &segment);
    sys(shmctl, id, SHM_STAT, BAD);
    sys(shmctl, id, SHM_LOCK, NULL);
    sys(shmctl, id, 99, NULL);
    sys(shmdt, at);
    sys(shmdt, at);
    sys(shmctl, id, IPC_RMID, NULL);
    sys(shmctl, id, IPC_STAT, &segment);
    id = sys(semget, IPC_PRIVATE, 2, 0600);
    sys(semop, id, operations, 2);
    sys(semctl, id, 0, SETVAL, 7);
    sys(semctl, id, 1, GETVAL, 0);
    sys(semctl, id, 0, SETALL, values);
    sys(semctl, id, 0, GETALL, values);
    sys(semctl, id, 1, GETNCNT, 0);
    sys(semctl, id, 1, GETZCNT, 0);
    sys(semop, id, operations, 2);
    sys(semop, id, operations, 0);
    sys(semop, id, BAD, 9999);
    operations[0].sem_op = -30;
    sys(semtimedop, id, operations, 1, &time);
    sys(semtimedop, id, operations, 1, &wrong);
    sys(semtimedop, id, operations, 1, BAD);
    sys(semctl, id, 0, IPC_STAT, &set);
    sys(semctl, id, 0, SEM_STAT, &set);
    sys(semctl, id, 0, SEM_STAT_ANY, &set);
    sys(semctl, id, 0, SEM_STAT, BAD);
    sys(semctl, id, 0, IPC_SET, &set);
    sys(semctl, id, 5, GETVAL, 0);
    sys(semctl, id, 0, IPC_RMID, 0);
    sys(semop, id, operations, 1);
    id = sys(msgget, IPC_PRIVATE, IPC_CREAT | IPC_EXCL | 0600);
    sys(msgsnd, id, &message, 5, IPC_NOWAIT);
    sys(msgsnd, id, BAD, 5, 0);
    sys(msgsnd, id, &large, 10000, 0);
    sys(msgctl, id, IPC_STAT, &queue);
    sys(msgrcv, id, &message, 8, 0, MSG_COPY | IPC_NOWAIT);
    sys(msgrcv, id, &message, 2, 5, 0);
    sys(msgrcv, id, &message, 3, -5, MSG_NOERROR);
    sys(msgrcv, id, &message, 8, 5, MSG_EXCEPT | IPC_NOWAIT);
    queue.msg_qbytes = 1;
    sys(msgctl, id, IPC_SET, &queue);
    sys(msgsnd, id, &message, 5, IPC_NOWAIT);
    sys(msgctl, id, MSG_STAT, &queue);
    sys(msgctl, id, MSG_STAT_ANY, &queue);
    sys(msgctl, id, MSG_STAT, BAD);
    sys(msgctl, id, IPC_RMID, NULL);
    sys(msgrcv, id, &message, 8, 0, 0);
    return 0;
}
