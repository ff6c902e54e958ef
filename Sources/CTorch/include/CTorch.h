// The C interface to libtorch. No logic lives here: each function forwards one call and turns
// whatever C++ throws into a message. Functions that can fail return NULL on success, or a message
// that the caller owns and gives back to ct_string_free.
#ifndef CTORCH_H
#define CTORCH_H

#include "CTorchAutograd.h"
#include "CTorchDevices.h"
#include "CTorchGenerators.h"
#include "CTorchGraphs.h"
#include "CTorchGroups.h"
#include "CTorchModules.h"
#include "CTorchOperators.h"
#include "CTorchTensors.h"
#include "CTorchValues.h"

#endif
