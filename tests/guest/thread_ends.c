#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <sys/wait.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/mman.h>
#include <ucontext.h>
#define R(e) ({ errno=0; long r_=(long)(e); printf("%s = %ld %s\n", #e, r_, r_==-1?strerror(errno):""); r_; })
static void st(const char*w,int s){ if(WIFEXITED(s))printf("%s exit %d\n",w,WEXITSTATUS(s)); else if(WIFSIGNALED(s))printf("%s sig %d core %d\n",w,WTERMSIG(s),!!WCOREDUMP(s)); else if(WIFSTOPPED(s))printf("%s stop %d\n",w,WSTOPSIG(s)); else if(WIFCONTINUED(s))printf("%s cont\n",w);}
static volatile int hits; static volatile siginfo_t last;
static void h(int s, siginfo_t*i, void*c){hits++; last=*i;}
static void on(int s,int f){struct sigaction a={0};a.sa_sigaction=h;a.sa_flags=f|SA_SIGINFO;sigaction(s,&a,0);}
static void ms(int n){struct timespec t={n/1000,n%1000*1000000L};while(nanosleep(&t,&t)&&errno==EINTR);}
static void* thr_sleep(void*a){ pause(); return 0;}
static void* thr_exit(void*a){ ms(30); syscall(SYS_exit,7); return 0;}
static void* thr_fork(void*a){ int*p=a; pid_t c=fork(); if(!c){prctl(PR_SET_PDEATHSIG,SIGUSR1); write(p[1],"r",1); sigset_t s;sigemptyset(&s);sigaddset(&s,SIGUSR1);siginfo_t i; int r=sigwaitinfo(&s,&i); printf("pdeath %d code %d frompar %d\n",r,i.si_code,i.si_pid==getppid()); fflush(0); _exit(0);} char b; read(p[0],&b,1); ms(20); return (void*)(long)c;}
static void* thr_exec(void*a){ ms(10); char*v[]={"/proc/self/exe","exec2",0}; execv(v[0],v); perror("exec"); return 0;}
static void* thr_kill(void*a){ ms(20); raise(SIGTERM); pause(); return 0;}
static void* thr_group(void*a){ ms(20); syscall(SYS_exit_group,9); return 0;}
#define CH(w,...) do{ fflush(0); pid_t c_=fork(); if(!c_){ __VA_ARGS__; fflush(0); _exit(0);} int s_; if(waitpid(c_,&s_,0)<0)perror(w); else st(w,s_);}while(0)
static void nest(int s){ int l; printf("nest %d on alt %d\n",s,0); }
int main(int ac,char**av){ setbuf(stdout,0);
 if(ac>1&&!strcmp(av[1],"exec2")){ printf("exec2 tid==pid %d threads ok\n",getpid()==syscall(SYS_gettid)); return 4; }
 pthread_t p; int pp[2]; pipe(pp);
 CH("leader exit first", pthread_create(&p,0,thr_exit,0); syscall(SYS_exit,3));
 CH("thread exit_group", pthread_create(&p,0,thr_group,0); for(;;)pause());
 CH("thread raise", pthread_create(&p,0,thr_kill,0); for(;;)pause());
 CH("thread exec", pthread_create(&p,0,thr_sleep,0);pthread_create(&p,0,thr_exec,0); for(;;)pause());
 CH("leader exec", pthread_create(&p,0,thr_sleep,0); thr_exec(0));
 CH("pdeath", sigset_t s;sigemptyset(&s);sigaddset(&s,SIGUSR1);sigprocmask(SIG_BLOCK,&s,0); void*r; pthread_create(&p,0,thr_fork,pp); pthread_join(p,&r); ms(30); int q; R(waitpid((long)r,&q,0)>0); st("  grandchild",q));
 /* subreaper */
 CH("subreaper", prctl(PR_SET_CHILD_SUBREAPER,1); pid_t c=fork(); if(!c){ pid_t g=fork(); if(!g){ ms(20); _exit(getppid()!=1?5:6);} _exit(0);} int q; pid_t w; while((w=wait(&q))>0) st(w==c?"  child":"  grand",q););
 /* nocldwait */
 CH("nocldwait", on(SIGCHLD,SA_NOCLDWAIT); if(!fork())_exit(1); R(wait(0)); printf("hits %d\n",hits));
 CH("ignchld", signal(SIGCHLD,SIG_IGN); if(!fork())_exit(1); if(!fork()){ms(20);_exit(1);} R(wait(0)));
 /* sigqueue order */
 CH("order", sigset_t s;sigfillset(&s);sigprocmask(SIG_BLOCK,&s,0); union sigval v; for(int i=0;i<3;i++){v.sival_int=i;sigqueue(getpid(),SIGRTMIN+1,v);sigqueue(getpid(),SIGRTMIN,v);} kill(getpid(),SIGUSR2);kill(getpid(),SIGUSR1);kill(getpid(),SIGUSR1); sigdelset(&s,SIGALRM); siginfo_t i; struct timespec z={0,0}; int k; while((k=sigtimedwait(&s,&i,&z))>0) printf(" %d/%d/%d",k,i.si_code,k>31?i.si_value.sival_int:0); puts(""));
 /* pending limit */
 CH("limit", sigset_t s;sigfillset(&s);sigprocmask(SIG_BLOCK,&s,0); struct rlimit r={0,0}; setrlimit(RLIMIT_SIGPENDING,&r); union sigval v={1}; R(sigqueue(getpid(),SIGRTMIN,v)); R(kill(getpid(),SIGRTMIN)); R(sigqueue(getpid(),SIGUSR1,v)); R(syscall(SYS_tkill,getpid(),SIGRTMIN+1)); R(syscall(SYS_tkill,getpid(),SIGUSR2)); siginfo_t i; struct timespec z={0,0}; int k; while((k=sigtimedwait(&s,&i,&z))>0) printf(" %d/%d/%d",k,i.si_code,i.si_pid==getpid()); puts(""));
 /* job control */
 { fflush(0); on(SIGCHLD,0); pid_t c=fork(); if(!c){ setpgid(0,0); on(SIGCONT,0); raise(SIGTSTP); ms(60); printf("continued hits %d code %d\n",hits,last.si_code); struct timespec t={0,400000000},rem; errno=0; int r=nanosleep(&t,&rem); printf("sleep %d %d\n",r,errno); raise(SIGSTOP); _exit(11);} setpgid(c,c); int q; R(waitpid(c,&q,WUNTRACED)==c); st("job",q); printf("chld code %d status %d hits %d\n",last.si_code,last.si_status,hits); R(kill(c,SIGCONT)); R(waitpid(c,&q,WCONTINUED)==c); st("job",q); ms(160); kill(c,SIGSTOP); R(waitpid(c,&q,WUNTRACED)==c); st("job",q); signal(SIGCHLD,SIG_DFL); kill(c,SIGCONT); R(waitpid(c,&q,WUNTRACED)==c); st("job",q); kill(c,SIGKILL); R(waitpid(c,&q,WUNTRACED|WCONTINUED)==c); st("job",q);} 
 /* nanosleep restart across stop without handler */
 { fflush(0); pid_t c=fork(); if(!c){ setpgid(0,0); struct timespec a,b,t={0,150000000}; clock_gettime(CLOCK_MONOTONIC,&a); int r=nanosleep(&t,0); clock_gettime(CLOCK_MONOTONIC,&b); long d=(b.tv_sec-a.tv_sec)*1000+(b.tv_nsec-a.tv_nsec)/1000000; printf("nanosleep %d inrange %d\n",r,d>=150&&d<400); _exit(0);} ms(40); kill(c,SIGSTOP); ms(20); kill(c,SIGCONT); int q; waitpid(c,&q,0); st("restarted sleep",q);} 
 /* orphaned pgrp */
 { int e[2]; pipe(e); fflush(0); pid_t c=fork(); if(!c){ pid_t j=fork(); if(!j){ setpgid(0,0); on(SIGHUP,0); write(e[1],"x",1); raise(SIGSTOP); printf("hup hits %d\n",hits); write(e[1],"y",1); _exit(0);} setpgid(j,j); char b; read(e[0],&b,1); int q; waitpid(j,&q,WUNTRACED); st("orphan-to-be",q); _exit(0);} int q; waitpid(c,&q,0); char b=0; read(e[0],&b,1); printf("got %c\n",b);} 
 /* fault info */
 { on(SIGSEGV,SA_RESETHAND|SA_NODEFER); CH("segv null", *(volatile int*)0=1); CH("segv wild", volatile char x=*(volatile char*)0x8000000000000000ul; (void)x); CH("ill", signal(SIGILL,SIG_DFL); __asm__("ud2")); CH("fpe", volatile int z=0; z=1/z); CH("blocked segv", signal(SIGSEGV,SIG_IGN); *(volatile int*)0=1); CH("int3", __asm__("int3")); CH("hlt", __asm__("hlt"));}
 /* exit code edge */
 CH("rt sig default", raise(SIGRTMIN+5)); CH("sigchld to self", raise(SIGCHLD)); CH("kill 0", signal(SIGTERM,SIG_IGN); setpgid(0,0); R(kill(0,SIGTERM)); R(kill(0,0)));
 CH("vfork", pid_t c=vfork(); if(!c)_exit(3); int q; waitpid(c,&q,0); st("  v",q));
 /* wait for stopped thread group */
 CH("thread stop", fflush(0); pid_t c=fork(); if(!c){ setpgid(0,0); for(int i=0;i<3;i++)pthread_create(&p,0,thr_sleep,0); ms(20); for(;;)pause(); } ms(60); kill(c,SIGSTOP); int q; R(waitpid(c,&q,WUNTRACED)==c); st("  ts",q); kill(c,SIGCONT); R(waitpid(c,&q,WCONTINUED)==c); st("  ts",q); kill(c,SIGTERM); R(waitpid(c,&q,0)==c); st("  ts",q););
 return 0; }
