// Empty: c10d's header names this file of Gloo, which PyTorch does not ship, and needs nothing of it.
#pragma once
