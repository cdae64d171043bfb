/* ioctl: terminals, files, and numbers that nobody knows. */
#include "calls.h"
#include <asm/termbits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#undef TCGETS2
#define TCGETS2 0x802c542a

int main(void) {
    int value = 1, ends[2];
    uint64_t range[3] = {1, 2, 3};
    struct winsize size = {24, 80, 0, 0};
    struct termios terminal = {0};
    sys(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0644);
    sys(pipe2, ends, O_CLOEXEC | O_NONBLOCK);
    sys(write, ends[1], "12345", 5);
    sys(ioctl, ends[0], FIONREAD, &value);
    sys(ioctl, ends[0], FIONREAD, NULL);
    sys(ioctl, ends[0], FIONREAD, BAD);
    sys(ioctl, 3, FIONREAD, &value);
    value = 1;
    sys(ioctl, 3, FIONBIO, &value);
    value = 0;
    sys(ioctl, 3, FIONBIO, &value);
    sys(ioctl, 3, FIONBIO, NULL);
    value = 1;
    sys(ioctl, 3, FIOASYNC, &value);
    sys(ioctl, 3, FIOCLEX);
    sys(ioctl, 3, FIONCLEX);
    sys(ioctl, 3, FIOQSIZE, &value);
    sys(ioctl, 3, TCGETS, &terminal);
    sys(ioctl, 3, TCSETS, &terminal);
    sys(ioctl, 3, TCSETSW, &terminal);
    sys(ioctl, 3, TCSETSF, NULL);
    sys(ioctl, 3, TCSETS, BAD);
    terminal.c_iflag = ICRNL | IXON;
    terminal.c_oflag = OPOST | ONLCR;
    terminal.c_cflag = B38400 | CS8 | CREAD | HUPCL;
    terminal.c_lflag = ISIG | ICANON | ECHO | ECHOE | IEXTEN;
    terminal.c_cc[VINTR] = 3;
    terminal.c_cc[VMIN] = 1;
    sys(ioctl, 3, TCSETS, &terminal);
    sys(ioctl, 3, TCGETA, &value);
    sys(ioctl, 3, TCSETAW, NULL);
    sys(ioctl, 3, TCSBRK, 1);
    sys(ioctl, 3, TCSBRKP, 0);
    sys(ioctl, 3, TCXONC, 0);
    sys(ioctl, 3, TCXONC, 1);
    sys(ioctl, 3, TCFLSH, 0);
    sys(ioctl, 3, TCFLSH, 1);
    sys(ioctl, 3, TCFLSH, 2);
    sys(ioctl, 3, TIOCGWINSZ, &size);
    sys(ioctl, 3, TIOCSWINSZ, &size);
    sys(ioctl, 3, TIOCSWINSZ, BAD);
    sys(ioctl, 3, TIOCGPGRP, &value);
    sys(ioctl, 3, TIOCSPGRP, &value);
    sys(ioctl, 3, TIOCGSID, &value);
    sys(ioctl, 3, TIOCSCTTY, 0);
    sys(ioctl, 3, TIOCNOTTY);
    sys(ioctl, 3, TIOCOUTQ, &value);
    sys(ioctl, 3, TIOCSTI, "x");
    sys(ioctl, 3, TIOCMGET, &value);
    value = TIOCM_DTR | TIOCM_RTS;
    sys(ioctl, 3, TIOCMSET, &value);
    sys(ioctl, 3, TIOCMBIS, &value);
    sys(ioctl, 3, TIOCGETD, &value);
    sys(ioctl, 3, TIOCSETD, &value);
    sys(ioctl, 3, TIOCPKT, &value);
    sys(ioctl, 3, TIOCGPTN, &value);
    sys(ioctl, 3, TIOCSPTLCK, &value);
    sys(ioctl, 3, TIOCGSOFTCAR, &value);
    sys(ioctl, 3, TIOCEXCL);
    sys(ioctl, 3, TIOCCONS);
    sys(ioctl, 3, BLKGETSIZE64, &value);
    sys(ioctl, 3, BLKGETSIZE, &value);
    sys(ioctl, 3, BLKSSZGET, &value);
    sys(ioctl, 3, BLKROGET, &value);
    sys(ioctl, 3, BLKFLSBUF);
    sys(ioctl, -1, FS_IOC_GETFLAGS, &value);
    sys(ioctl, -1, FS_IOC_SETFLAGS, &value);
    sys(ioctl, -1, FIBMAP, &value);
    sys(ioctl, -1, FIGETBSZ, &value);
    sys(ioctl, -1, FIFREEZE);
    sys(ioctl, -1, FITRIM, range);
    sys(ioctl, -1, FICLONE, 5);
    sys(ioctl, 3, 0, 0);
    sys(ioctl, 3, 0x12345678, 0x1234);
    sys(ioctl, 3, _IOC(_IOC_READ, 'x', 99, 8), &value);
    sys(ioctl, 3, _IOC(_IOC_WRITE, 'y', 1, 16), NULL);
    sys(ioctl, 3, _IOC(_IOC_READ | _IOC_WRITE, 0xee, 0xff, 0x3fff), BAD);
    sys(ioctl, 3, _IOC(_IOC_NONE, 0xfe, 2, 0), 7);
    sys(ioctl, 3, 0xffffffff, -1);
    sys(ioctl, -1, TCGETS, &terminal);
    sys(openat, AT_FDCWD, "/dev/null", O_RDWR);
    sys(ioctl, 6, TCGETS, &terminal);
    sys(ioctl, 6, TIOCGWINSZ, &size);
    return 0;
}
