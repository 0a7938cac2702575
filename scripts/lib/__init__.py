# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts share: machines, images, caches, progress lines."""
