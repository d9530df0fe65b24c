"""How well a network finds: precision, recall and overlap against labelled photos."""
import torch

import labelled
from net import overlap

CONFIDENCE = .4
SAME = .5  # overlap that counts as found


def find(net, planes, least=.05, thin=.45):
    """[(class, confidence, box)] of one picture, best first."""
    with torch.no_grad():
        boxes, logits = net(planes[None])
    sure, label = logits[0].sigmoid().max(1)
    order = [i for i in sure.argsort(descending=True).tolist() if sure[i] >= least]
    kept = []
    for i in order:
        near = (j for j in kept if label[j] == label[i])
        if all(overlap(boxes[0, i], boxes[0, j]) < thin for j in near):
            kept.append(i)
    return [(int(label[i]), float(sure[i]), boxes[0, i]) for i in kept]


def match(found, rows, confidence=CONFIDENCE):
    """Per class: [found and right, found, there, sum of overlaps of the right ones]."""
    tally = {}
    free = set(range(len(rows)))
    for row in rows:
        tally.setdefault(int(row[0]), [0, 0, 0, 0.0])[2] += 1
    for label, sure, box in found:
        if sure < confidence:
            continue
        mine = tally.setdefault(label, [0, 0, 0, 0.0])
        mine[1] += 1
        best = max(((float(overlap(box, torch.tensor(rows[i, 1:]))), i) for i in free
                    if int(rows[i, 0]) == label), default=(0, None))
        if best[0] >= SAME:
            free.discard(best[1])
            mine[0] += 1
            mine[3] += best[0]
    return tally


def score(net, pairs, confidence=CONFIDENCE):
    """{class: (precision, recall, mean overlap, how many there are)}"""
    net.eval()
    total = {}
    for pair in pairs:
        frame, rows = labelled.framed(pair)
        for label, counts in match(find(net, labelled.planes(frame)), rows, confidence).items():
            total[label] = [a + b for a, b in zip(total.get(label, [0, 0, 0, 0.0]), counts)]
    return {label: (right / max(1, seen), right / max(1, there), shared / max(1, right), there)
            for label, (right, seen, there, shared) in sorted(total.items())}
