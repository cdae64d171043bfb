#include "x32.h"
