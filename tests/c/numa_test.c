// SPDX-License-Identifier: BSD-3-Clause
// Nodes, and what an application brings along to them.
#define _DEFAULT_SOURCE
#include <string.h>

#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.h>

#include "tests/c/check.h"
#include "tests/c/fake_guest.h"
#include "tests/c/stage.h"
#include "tests/c/tests_in_c.h"

void mempools_are_made_by_node(void) {
  fake_pool();
  vhostx_error error;
  vhostx_mempools_options options;
  vhostx_mempools_options_init(&options, sizeof options);
  options.name = "in_c";
  options.mbufs = 128;
  options.cache = 0;
  vhostx_mempools* const mempools = vhostx_mempools_create(&options, &error);
  if (!CHECK(mempools != NULL)) return;
  CHECK(vhostx_mempools_pool(mempools, 0, NULL) == NULL);
  vhostx_mempool_choice choice;
  CHECK(vhostx_mempools_on(mempools, VHOSTX_NO_NODE, &choice, sizeof choice, &error) == VHOSTX_OK);
  CHECK(choice.pool != NULL && strlen(choice.problem) < sizeof choice.problem);
  int node = -2;
  CHECK(vhostx_mempools_pool(mempools, 0, &node) == choice.pool && node == choice.node);
  CHECK(vhostx_mempools_pool(mempools, 1, NULL) == NULL);
  struct rte_mbuf* const packet = rte_pktmbuf_alloc(choice.pool);
  CHECK(packet != NULL);
  rte_pktmbuf_free(packet);
  vhostx_mempools_destroy(mempools);
  options.mbufs = 0;
  CHECK(vhostx_mempools_create(&options, &error) == NULL && error.code == VHOSTX_INVALID_ARGUMENT);
  CHECK(strstr(error.message, "mbufs is 0") != NULL);
  options.name = NULL;
  CHECK(vhostx_mempools_create(&options, &error) == NULL && strstr(error.message, "name") != NULL);
}

void nodes_and_lcores_are_known(void) {
  fake_pool();
  int nodes[1] = {-2};
  CHECK(vhostx_memory_nodes(nodes, 0) >= 1 && nodes[0] == -2);
  CHECK(vhostx_memory_nodes(nodes, 1) >= 1 && nodes[0] >= 0);
  CHECK(vhostx_node_of_cpu(0) >= VHOSTX_NO_NODE && vhostx_node_of_cpu(1U << 30) == VHOSTX_NO_NODE);
  const unsigned main_lcore = rte_get_main_lcore();
  const int node = vhostx_node_of_lcore(main_lcore);
  CHECK(vhostx_node_of_lcore(RTE_MAX_LCORE) == VHOSTX_NO_NODE);
  unsigned lcores[2] = {RTE_MAX_LCORE, main_lcore};
  if (node != VHOSTX_NO_NODE) CHECK(vhostx_lcores_on(node, lcores, 2, lcores) == 1 && lcores[0] == main_lcore);
  CHECK(vhostx_lcores_on(12345, lcores, 2, lcores) == 0);
  const unsigned candidates[] = {main_lcore, main_lcore, main_lcore};
  const uint64_t loads[] = {3, 1, 2};
  CHECK(vhostx_choose_lcore(VHOSTX_NO_NODE, candidates, loads, 3) == 1);
  CHECK(vhostx_choose_lcore(VHOSTX_NO_NODE, candidates, loads, 1) == 0);
  CHECK(vhostx_choose_lcore(VHOSTX_NO_NODE, NULL, NULL, 0) == 0);
}

static void look_at(const vhostx_vring* vring) {
  vhostx_error error;
  vhostx_vring_placement* const placement = vhostx_vring_get_placement(vring, &error);
  if (!CHECK(placement != NULL)) return;
  CHECK(placement->problem != NULL);
  CHECK(vhostx_vring_numa_node(vring) == placement->wanted_node);
  CHECK(vhostx_node_histogram_placed(&placement->ring) + placement->ring.absent + placement->ring.unknown > 0);
  CHECK(vhostx_node_histogram_main_node(&placement->ring) == placement->ring_node);
  CHECK(vhostx_node_histogram_on(&placement->ring, placement->ring_node) > 0 || placement->ring_node == VHOSTX_NO_NODE);
  CHECK(placement->state_area_count > 0 && placement->state_areas[0].bytes > 0);
  vhostx_vring_placement_free(placement);
}

void placements_are_told(void) {
  struct stage* const stage = set_up("placed", false);
  vhostx_error error;
  CHECK(vhostx_port_look_at_placement(stage->port, &error) == VHOSTX_OK);
  look_at(stage->from);
  vhostx_memory_placement* const memory = vhostx_port_get_memory_placement(stage->port, &error);
  if (CHECK(memory != NULL && memory->count == 1))
    CHECK(memory->regions[0]->guest_address == 0x40000000 && memory->regions[0]->bytes == 8U << 20 &&
          memory->regions[0]->page_bytes >= 4096);
  vhostx_memory_placement_free(memory);
  tear_down(stage);
}
