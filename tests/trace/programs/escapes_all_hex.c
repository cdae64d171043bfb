/* strace: -xx */
#include "escapes.h"
