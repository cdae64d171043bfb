#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <sys/stat.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <pthread.h>
#define P(...) (printf(__VA_ARGS__), fflush(stdout))
#ifdef __GLIBC__
static const char *en(void){ return strerrorname_np(errno); }
#else
static const char *en(void){ return strerror(errno); }
#endif
static long ms(void){ struct timespec t; clock_gettime(CLOCK_MONOTONIC,&t); return t.tv_sec*1000+t.tv_nsec/1000000; }
static volatile int hits; static void h(int s){ hits++; }
static int lk(int fd,int cmd,int type,off_t s,off_t l){ struct flock f={.l_type=type,.l_whence=SEEK_SET,.l_start=s,.l_len=l}; int r=fcntl(fd,cmd,&f); if(r<0) return -errno; if (cmd==F_GETLK) return f.l_type*1000+(int)f.l_start; return r; }
int main(void){
  signal(SIGALRM,h); int p[2]; pipe(p);
  /* poll with stop/cont keeps deadline */
  pid_t c=fork(); if(!c){ struct pollfd f={p[0],POLLIN,0}; long a=ms(); int r=poll(&f,1,600); long d=ms()-a; _exit(r==0 && d>=590 && d<1500 ? 42: 1);} usleep(100000); kill(c,SIGSTOP); usleep(100000); kill(c,SIGCONT); int st; waitpid(c,&st,0); P("poll stop/cont %d\n", WEXITSTATUS(st));
  /* EINTR */
  struct sigaction sa={.sa_handler=h,.sa_flags=SA_RESTART}; sigaction(SIGALRM,&sa,0);
  struct pollfd f={p[0],POLLIN,0}; ualarm(50000,0); int r=poll(&f,1,2000); P("poll %d %s hits %d\n", r, en(), hits);
  fd_set s; FD_ZERO(&s); FD_SET(p[0],&s); struct timeval tv={2,0}; ualarm(50000,0); r=select(p[0]+1,&s,0,0,&tv); P("select %d %s hits %d left %d set %d\n", r, en(), hits, tv.tv_sec==1, FD_ISSET(p[0],&s)!=0);
  int e=epoll_create1(0); struct epoll_event ev={EPOLLIN,{.fd=p[0]}}; epoll_ctl(e,EPOLL_CTL_ADD,p[0],&ev); ualarm(50000,0); r=epoll_wait(e,&ev,1,2000); P("epoll %d %s\n", r,en());
  char b[10]; ualarm(50000,0); c=fork(); if(!c){usleep(150000); write(p[1],"xy",2); _exit(0);} r=read(p[0],b,10); P("restarted read %d hits %d\n", r, hits); waitpid(c,&st,0);
  sigset_t m,o; sigemptyset(&m); sigaddset(&m,SIGALRM); sigprocmask(SIG_BLOCK,&m,&o); raise(SIGALRM); struct timespec ts={0,0}; r=ppoll(&f,1,&ts,&o); P("ppoll %d %s hits %d\n", r,en(),hits); sigprocmask(SIG_BLOCK,0,&m); P("masked %d\n", sigismember(&m,SIGALRM));
  raise(SIGALRM); r=pselect(0,0,0,0,0,&o); P("pselect %d %s hits %d\n", r,en(),hits); raise(SIGALRM); r=epoll_pwait(e,&ev,1,-1,&o); P("epoll_pwait %d %s hits %d\n",r,en(),hits);
  /* sigpipe */
  signal(SIGPIPE,SIG_IGN); int q[2]; pipe(q); close(q[0]); r=write(q[1],"x",1); P("epipe %d %s\n", r,en()); f.fd=q[1]; f.events=POLLOUT; r=poll(&f,1,0); P("poll %d %x\n",r,f.revents);
  c=fork(); if(!c){signal(SIGPIPE,SIG_DFL); write(q[1],"x",1); _exit(0);} waitpid(c,&st,0); P("killed by %d\n", WTERMSIG(st));
  /* locks */
  char tmp[]="/tmp/lockXXXXXX"; int fd=mkstemp(tmp); P("lock %d\n", lk(fd,F_SETLK,F_WRLCK,10,10)); c=fork(); if(!c){ P("child get %d\n", lk(fd,F_GETLK,F_RDLCK,0,0)); P("child set %d\n", lk(fd,F_SETLK,F_WRLCK,15,1)); P("child wait %d\n", lk(fd,F_SETLKW,F_WRLCK,15,1)); _exit(0);} usleep(100000); P("unlocking\n"); lk(fd,F_SETLK,F_UNLCK,0,0); waitpid(c,&st,0);
  int a2[2]; pipe(a2); lk(fd,F_SETLK,F_WRLCK,1,1); c=fork(); if(!c){ lk(fd,F_SETLK,F_WRLCK,0,1); write(a2[1],"x",1); int x=lk(fd,F_SETLKW,F_WRLCK,1,1); _exit(x==0);} read(a2[0],b,1); lk(fd,F_SETLK,F_WRLCK,1,1); usleep(100000); P("deadlock %d\n", lk(fd,F_SETLKW,F_WRLCK,0,1)); lk(fd,F_SETLK,F_UNLCK,0,0); waitpid(c,&st,0); P("other %d\n", WEXITSTATUS(st));
  lk(fd,F_SETLK,F_WRLCK,0,0); int fd2=open(tmp,O_RDONLY); close(fd2); c=fork(); if(!c){ _exit(lk(fd,F_SETLK,F_WRLCK,0,0)==0);} waitpid(c,&st,0); P("released by close %d\n", WEXITSTATUS(st));
  /* fifo */
  char fdir[]="/tmp/fifoXXXXXX", ff[32]; mkdtemp(fdir); sprintf(ff,"%s/f",fdir); mkfifo(ff,0600); r=open(ff,O_WRONLY|O_NONBLOCK); P("fifo %d %s\n", r,en()); c=fork(); if(!c){int w=open(ff,O_WRONLY); write(w,"hello",5); _exit(0);} int rd=open(ff,O_RDONLY); r=read(rd,b,10); P("fifo read %d\n", r); r=read(rd,b,10); P("fifo eof %d\n", r); waitpid(c,&st,0); struct stat sb; fstat(rd,&sb); P("mode %o\n", sb.st_mode);
  /* eventfd + epoll */
  int ef=eventfd(0,EFD_NONBLOCK); ev.events=EPOLLIN|EPOLLET; ev.data.u64=0x123456789abcdefULL; epoll_ctl(e,EPOLL_CTL_ADD,ef,&ev); unsigned long long v=5; write(ef,&v,8); struct epoll_event evs[4]; r=epoll_wait(e,evs,4,100); P("ev %d %x %llx\n", r,evs[0].events,(unsigned long long)evs[0].data.u64); r=epoll_wait(e,evs,4,10); P("ev %d\n", r); r=read(ef,&v,8); P("val %d %llu\n", r,v); r=read(ef,&v,8); P("again %d %s\n", r,en());
  r=epoll_ctl(e,EPOLL_CTL_ADD,fd,&ev); P("epoll file %d %s\n", r,en());
  /* misc fcntl */
  P("getfl %x %x %x\n", fcntl(p[0],F_GETFL), fcntl(fd,F_GETFL), fcntl(e,F_GETFL)); P("pipesz %d %d\n", fcntl(p[0],F_GETPIPE_SZ), fcntl(p[0],F_SETPIPE_SZ,100000)); fstat(p[0],&sb); P("pipe st %o %ld\n", sb.st_mode, (long)sb.st_blksize);
  int n; ioctl(p[0],FIONREAD,&n); P("nread %d\n", n); r=ioctl(p[0],TCGETS,b); P("tcgets %d %s\n", r,en()); 
  char l[64],t[200]; sprintf(l,"/proc/self/fd/%d",fd); r=readlink(l,t,199); t[r]=0; P("link %d\n", !strcmp(t,tmp)); unlink(tmp); r=readlink(l,t,199); t[r]=0; P("deleted %s\n", strstr(t," (deleted)")?"yes":"no"); int ro=open(l,O_RDONLY); P("reopen %d\n", ro>=0);
  unlink(ff); rmdir(fdir); return 0; }
