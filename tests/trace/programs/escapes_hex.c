/* strace: -x */
#include "escapes.h"
