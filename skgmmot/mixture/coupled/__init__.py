"""The coupled fit: a mixture for each of several samples, pulled along links.

In the order of reading: records, links (frames and costs), Newton step, weights and
plans, M-step, the loop of EM, starts.
"""
