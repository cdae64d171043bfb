/* strace: -X raw -xx */
#include "x32.h"
