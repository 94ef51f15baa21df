# The image for Amazon SageMaker: AWS's Deep Learning Container for PyTorch, with what projection needs besides.
# launchers/sagemaker/sagemaker.sh image (`make sagemaker-image`) builds it and pushes it to ECR.
# AWS's public gallery asks for no account; the same images are in ECR, where they are nearer:
#   --build-arg BASE=ACCOUNT.dkr.ecr.REGION.amazonaws.com/pytorch-training:TAG
ARG BASE=public.ecr.aws/deep-learning-containers/pytorch-training:2.9-gpu-py312-cu130-ubuntu22.04-sagemaker-v1
FROM ${BASE}

# what changes seldom comes first, so that a change of code rebuilds the last layers only
COPY pyproject.toml constraints.txt /opt/dependencies/
COPY containers/install.sh /opt/dependencies/containers/install.sh
RUN /opt/dependencies/containers/install.sh additions

COPY . /opt/projection
RUN PYTHON=python3 /opt/projection/containers/install.sh project \
    && mkdir -p /opt/ml/input/config /opt/ml/input/data /opt/ml/model /opt/ml/output/data /opt/ml/checkpoints

ARG REVISION=unknown
LABEL org.opencontainers.image.title="projection" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.revision="${REVISION}"
ENV PYTHONUNBUFFERED=1 \
    PROJECTION_GIT_COMMIT=${REVISION}
WORKDIR /opt/projection
# SageMaker runs the image with the word `train`; the base has an entry point that would run something else
ENTRYPOINT ["/opt/projection/launchers/sagemaker/train.sh"]
CMD ["train"]
