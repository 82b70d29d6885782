#pragma once

#include "table.h"

// Adds a row with the sum of all values.
void add_total(std::vector<Row>& rows);
