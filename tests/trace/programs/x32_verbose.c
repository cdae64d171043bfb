/* strace: -X verbose -x */
#include "x32.h"
