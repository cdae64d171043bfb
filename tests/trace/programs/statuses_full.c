/* strace: -v -y */
#include "statuses.h"
