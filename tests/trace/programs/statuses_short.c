/* What is known of files, in short. */
#include "statuses.h"
